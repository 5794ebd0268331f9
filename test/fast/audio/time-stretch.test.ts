import { expect, it } from 'vitest';
import { joinSamples } from '../../../src/audio/mix-down.js';
import { createTimeStretch } from '../../../src/audio/time-stretch.js';

const RATE = 24_000;
const tone = Float32Array.from({ length: 40_001 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 150 * i) / RATE));

function stretched(samples: Float32Array, rate: number, size = samples.length): Float32Array {
  const stretch = createTimeStretch(rate, RATE);
  const pieces: Float32Array[] = [];
  for (let i = 0; i < samples.length; i += size) pieces.push(stretch.push(samples.subarray(i, i + size)));
  return joinSamples([...pieces, stretch.flush()]);
}

/** Times a second that the sound rises through nought, away from its ends. */
function pitch(samples: Float32Array): number {
  let rises = 0;
  const [start, end] = [4_000, samples.length - 4_000];
  for (let i = start; i < end; i++) if (samples[i - 1] < 0 && samples[i] >= 0) rises++;
  return (rises * RATE) / (end - start);
}

it.each([0.5, 0.8, 1.2, 2])('at rate %f the length changes exactly, and neither pitch nor level', (rate) => {
  const output = stretched(tone, rate);
  expect(output).toHaveLength(Math.round(tone.length / rate));
  expect(Math.abs(pitch(output) - 150)).toBeLessThan(3);
  const middle = output.subarray(4_000, output.length - 4_000);
  const power = middle.reduce((sum, x) => sum + x * x, 0) / middle.length;
  expect(Math.abs(10 * Math.log10(power / 0.125))).toBeLessThan(0.5);
});

it('gives the same samples however they come', () => {
  const whole = stretched(tone, 1.2);
  for (const size of [1, 777, 12_345]) expect(stretched(tone, 1.2, size)).toEqual(whole);
});

it('gives the most of it before the end', () => {
  const stretch = createTimeStretch(1.2, RATE);
  expect(stretch.push(tone).length).toBeGreaterThan(tone.length / 1.2 - 0.12 * RATE);
});

it.each([1, 10, 500])('takes %i samples', (count) => {
  expect(stretched(tone.subarray(0, count), 1.5)).toHaveLength(Math.round(count / 1.5));
});

it('leaves sound as it is at rate 1, and refuses others than 0.5 to 2', () => {
  expect(stretched(tone, 1)).toEqual(tone);
  for (const rate of [0, 0.4, 2.1, Number.NaN])
    expect(() => createTimeStretch(rate, RATE)).toThrow(/rate: expected a number from 0\.5 to 2, got/);
});
