import { checkSampleRate } from './audio.js';

/** Loudness is measured over blocks of this length, each a quarter after the last. */
const BLOCK_SECONDS = 0.4;
const STEPS_PER_BLOCK = 4;
/** Blocks below these count as silence: LUFS, and LU under the mean of the others. */
const ABSOLUTE_GATE = -70;
const RELATIVE_GATE = -10;
/** Of a sample that may not be exceeded: room for what players make of it between the samples. */
const HIGHEST_PEAK = 10 ** (-1 / 20);

const decibels = (power: number) => -0.691 + 10 * Math.log10(power);

/** One second-order filter: y = b0 x + b1 x' + b2 x'' - a1 y' - a2 y''. */
type Biquad = readonly [b0: number, b1: number, b2: number, a1: number, a2: number];

/** The two filters of ITU-R BS.1770 (the head's shelf, then a high-pass) at any sample rate. */
function kWeighting(sampleRate: number): Biquad[] {
  const shelf = (frequency: number, gain: number, q: number): Biquad => {
    const k = Math.tan((Math.PI * frequency) / sampleRate);
    const high = 10 ** (gain / 20);
    const band = high ** 0.4996667741545416;
    const a0 = 1 + k / q + k * k;
    const b = [high + (band * k) / q + k * k, 2 * (k * k - high), high - (band * k) / q + k * k].map((x) => x / a0);
    return [b[0], b[1], b[2], (2 * (k * k - 1)) / a0, (1 - k / q + k * k) / a0];
  };
  const k = Math.tan((Math.PI * 38.13547087602444) / sampleRate);
  const q = 0.5003270373238773;
  const a0 = 1 + k / q + k * k;
  return [
    shelf(1681.974450955533, 3.999843853973347, 0.7071752369554196),
    [1, -2, 1, (2 * (k * k - 1)) / a0, (1 - k / q + k * k) / a0],
  ];
}

function filter(samples: Float64Array, [b0, b1, b2, a1, a2]: Biquad): Float64Array {
  const output = new Float64Array(samples.length);
  let [x1, x2, y1, y2] = [0, 0, 0, 0];
  for (let i = 0; i < samples.length; i++) {
    const x = samples[i];
    const y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2;
    [x2, x1, y2, y1] = [x1, x, y1, y];
    output[i] = y;
  }
  return output;
}

/**
 * Integrated loudness of mono samples [N] by ITU-R BS.1770-4, in LUFS.
 * @returns -Infinity for silence. Sound shorter than a block of 400 ms is one block.
 */
export function measureLoudness(samples: Float32Array, sampleRate: number): number {
  checkSampleRate('loudness', sampleRate);
  const weighted = kWeighting(sampleRate).reduce(filter, Float64Array.from(samples));
  const powers = blockPowers(weighted, sampleRate).filter((power) => decibels(power) > ABSOLUTE_GATE);
  if (powers.length === 0) return -Infinity;
  const gate = decibels(mean(powers)) + RELATIVE_GATE;
  return decibels(mean(powers.filter((power) => decibels(power) > gate)));
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function blockPowers(weighted: Float64Array, sampleRate: number): number[] {
  const block = Math.min(weighted.length, Math.round(BLOCK_SECONDS * sampleRate));
  const step = Math.max(1, Math.round(block / STEPS_PER_BLOCK));
  const powers: number[] = [];
  for (let start = 0; block > 0 && start + block <= weighted.length; start += step) {
    let sum = 0;
    for (let i = start; i < start + block; i++) sum += weighted[i] ** 2;
    powers.push(sum / block);
  }
  return powers;
}

/** Samples at a loudness, and what it really is. */
export interface Levelled {
  samples: Float32Array;
  /** LUFS; below what was asked for where a peak would clip, -Infinity for silence. */
  loudness: number;
}

/**
 * Makes mono samples [N] as loud as asked for, but no louder than a peak of -1 dB allows: nothing is clipped or compressed.
 * @param target LUFS, such as -16.
 */
export function setLoudness(samples: Float32Array, sampleRate: number, target: number): Levelled {
  if (!Number.isFinite(target) || target > 0) throw new RangeError(`loudness: expected LUFS below 0, got ${target}`);
  const loudness = measureLoudness(samples, sampleRate);
  if (loudness === -Infinity) return { samples, loudness };
  const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const gain = Math.min(10 ** ((target - loudness) / 20), HIGHEST_PEAK / peak);
  return { samples: samples.map((x) => x * gain), loudness: loudness + 20 * Math.log10(gain) };
}

/** What to tell a user whose sound is not as loud as asked for; undefined where it is. */
export function describeMissing(loudness: number, target: number): string | undefined {
  if (loudness === -Infinity || Math.abs(loudness - target) < 0.1) return undefined;
  return `loudness: ${loudness.toFixed(1)} LUFS in place of ${target}: louder, its peaks would clip`;
}
