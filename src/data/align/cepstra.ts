import { DEFAULT_MEL_CODEC_CONFIG } from '../../codec/mel/config.js';
import { LogMel } from '../../codec/mel/log-mel.js';

/** Frames a second. */
export const CEPSTRUM_RATE = 100;
const WINDOW_SECONDS = 0.02;
const MEL_BINS = 40;
const MAX_FREQUENCY = 8000;
const COEFFICIENTS = 13;
/** Frames on either side that a slope is fitted to. */
const SLOPE_REACH = 2;

/** Channels: the coefficients, and the slope of each. */
export const CEPSTRUM_CHANNELS = 2 * COEFFICIENTS;

/** [COEFFICIENTS, MEL_BINS]: cosines (DCT-II). */
const COSINES = Array.from({ length: COEFFICIENTS }, (_, k) =>
  Float64Array.from({ length: MEL_BINS }, (_, m) => Math.cos((Math.PI * k * (m + 0.5)) / MEL_BINS) / MEL_BINS),
);

/** Mel-frequency cepstra and their slopes, what a recogniser of phonemes looks at: mono samples [N] -> [T, CEPSTRUM_CHANNELS], flat. */
export function cepstra(samples: Float32Array, sampleRate: number): Float32Array {
  const spectrumHopLength = Math.round(sampleRate / CEPSTRUM_RATE);
  const logMel = new LogMel({
    ...DEFAULT_MEL_CODEC_CONFIG,
    sampleRate,
    fftSize: 2 ** Math.round(Math.log2(WINDOW_SECONDS * sampleRate)),
    spectrumHopLength,
    melBins: MEL_BINS,
    maxFrequency: Math.min(MAX_FREQUENCY, sampleRate / 2),
  });
  const frames = Math.ceil(samples.length / spectrumHopLength);
  const out = new Float32Array(frames * CEPSTRUM_CHANNELS);
  const mel = new Float64Array(MEL_BINS);
  for (let t = 0; t < frames; t++) {
    logMel.frame(samples, t, mel);
    COSINES.forEach((cosine, k) => {
      let sum = 0;
      for (let m = 0; m < MEL_BINS; m++) sum += cosine[m] * mel[m];
      out[t * CEPSTRUM_CHANNELS + k] = sum;
    });
  }
  addSlopes(out, frames);
  return out;
}

/** slope[t] = sum of n (x[t + n] - x[t - n]) / (2 sum of n^2), n = 1 .. SLOPE_REACH; ends are repeated. */
function addSlopes(values: Float32Array, frames: number): void {
  const at = (t: number, k: number) => values[Math.max(0, Math.min(frames - 1, t)) * CEPSTRUM_CHANNELS + k];
  const reach = Array.from({ length: SLOPE_REACH }, (_, i) => i + 1);
  const norm = 2 * reach.reduce((sum, n) => sum + n * n, 0);
  for (let t = 0; t < frames; t++)
    for (let k = 0; k < COEFFICIENTS; k++)
      values[t * CEPSTRUM_CHANNELS + COEFFICIENTS + k] =
        reach.reduce((sum, n) => sum + n * (at(t + n, k) - at(t - n, k)), 0) / norm;
}
