import { expect, test } from 'vitest';
import { trimSilence } from '../../../src/audio/trim.js';

const RATE = 8000;
const tone = (seconds: number, size: number) =>
  Float32Array.from({ length: seconds * RATE }, (_, n) => size * Math.sin(n));
const noise = (seconds: number, size: number) =>
  Float32Array.from({ length: seconds * RATE }, (_, n) => size * Math.sin(n * n * 0.7));
const joined = (...parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));

test.each([
  ['silence', 0],
  ['steady noise 30 dB below the speech', 0.01],
])('cuts %s off both ends and leaves a margin', (_name, size) => {
  const speech = joined(tone(0.5, 0.3), noise(0.5, size), tone(0.5, 0.3));
  const recording = joined(noise(0.8, size), speech, noise(1.2, size));
  const trimmed = trimSilence(recording, RATE);
  expect(trimmed.byteOffset / 4).toBeCloseTo((0.8 - 0.06) * RATE);
  expect(trimmed.length).toBeCloseTo((0.06 + 1.5 + 0.12) * RATE);
});

test('keeps speech that begins and ends with the recording, and what has nothing to cut', () => {
  const speech = joined(tone(0.5, 0.3), noise(0.5, 0.001), tone(0.5, 0.3));
  for (const samples of [speech, new Float32Array(RATE), new Float32Array(0)])
    expect(trimSilence(samples, RATE)).toEqual(samples);
});
