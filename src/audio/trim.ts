import { checkSampleRate } from './audio.js';

/** Loudness is looked at over windows of this length. */
const WINDOW_SECONDS = 0.01;
/** A window is speech where it is no further than this below the loud ones. */
const SPEECH_RANGE_DECIBELS = 35;
/** Which of the windows counts as loud: one in twenty is louder. */
const LOUD_SHARE = 0.95;
/** Steady noise: that many windows are quieter, and speech stands so far above them. */
const NOISE_SHARE = 0.05;
const ABOVE_NOISE_DECIBELS = 6;
/** Kept around speech: quiet sounds that begin and end words lie below the threshold. */
const KEPT_BEFORE_SECONDS = 0.06;
const KEPT_AFTER_SECONDS = 0.12;

/**
 * Cuts silence, or steady noise, off both ends of mono samples [N]; 60 ms before the speech and 120 ms after it stay.
 * @returns a view of the samples; all of them where nothing stands out
 */
export function trimSilence(samples: Float32Array, sampleRate: number): Float32Array {
  checkSampleRate('trimSilence', sampleRate);
  const window = Math.round(WINDOW_SECONDS * sampleRate);
  const levels = windowLevels(samples, window);
  const sorted = levels.toSorted();
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? -Infinity;
  const threshold = Math.max(at(LOUD_SHARE) - SPEECH_RANGE_DECIBELS, at(NOISE_SHARE) + ABOVE_NOISE_DECIBELS);
  const first = levels.findIndex((level) => level > threshold);
  if (first < 0) return samples;
  const last = levels.findLastIndex((level) => level > threshold);
  const start = Math.max(0, first * window - Math.round(KEPT_BEFORE_SECONDS * sampleRate));
  return samples.subarray(start, (last + 1) * window + Math.round(KEPT_AFTER_SECONDS * sampleRate));
}

/** Mean power of every whole window, in decibels. */
function windowLevels(samples: Float32Array, window: number): Float64Array {
  const levels = new Float64Array(Math.floor(samples.length / window));
  for (let i = 0; i < levels.length; i++) {
    let sum = 0;
    for (let n = i * window; n < (i + 1) * window; n++) sum += samples[n] ** 2;
    levels[i] = 10 * Math.log10(sum / window + 1e-12);
  }
  return levels;
}
