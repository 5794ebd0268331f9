import { describe, expect, it } from 'vitest';
import { resample } from '../../../src/audio/resample.js';

const sine = (hertz: number, sampleRate: number, length: number) =>
  Float32Array.from({ length }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / sampleRate));

/** Power of the difference beside the power of the wanted tone, in dB, away from the ends. */
function errorDb(got: Float32Array, wanted: Float32Array, margin = 200): number {
  let error = 0;
  for (let i = margin; i < wanted.length - margin; i++) error += (got[i] - wanted[i]) ** 2;
  return 10 * Math.log10(error / (wanted.length - 2 * margin) / 0.125);
}

describe('resampling', () => {
  it.each([
    [16_000, 24_000],
    [22_050, 24_000],
    [44_100, 24_000],
    [48_000, 24_000],
    [24_000, 16_000],
    [8_000, 24_000],
  ])('keeps a tone of 1 kHz in place from %i to %i Hz, 100 dB above the error', async (from, to) => {
    const got = await resample(sine(1_000, from, from), from, to);
    expect(got.length).toBe(to);
    expect(errorDb(got, sine(1_000, to, to))).toBeLessThan(-100);
  });

  it('removes what the lower rate cannot hold', async () => {
    const got = await resample(sine(9_000, 24_000, 24_000), 24_000, 16_000);
    expect(
      10 * Math.log10(got.subarray(500, -500).reduce((sum, x) => sum + x * x, 0) / got.length / 0.125),
    ).toBeLessThan(-100);
  });

  it('keeps the last samples: a constant stays to the end', async () => {
    const got = await resample(new Float32Array(3_000).fill(0.5), 16_000, 24_000);
    expect(got.length).toBe(4_500);
    // The filter sees the silence after the end, hence its ringing in the last samples.
    expect(got[4_400]).toBeCloseTo(0.5, 2);
  });

  it.each([0, 1, 2, 7, 100, 200_001])('gives ceil(N * to / from) samples for N = %i', async (length) => {
    expect((await resample(new Float32Array(length), 16_000, 24_000)).length).toBe(Math.ceil(length * 1.5));
    expect((await resample(new Float32Array(length), 44_100, 24_000)).length).toBe(
      Math.ceil((length * 24_000) / 44_100),
    );
  });

  it('gives the same whatever was resampled before', async () => {
    const tone = sine(440, 16_000, 5_000);
    const first = await resample(tone, 16_000, 24_000);
    await resample(sine(3_000, 16_000, 777), 16_000, 24_000);
    expect(await resample(tone, 16_000, 24_000)).toEqual(first);
  });

  it('takes part of a larger buffer', async () => {
    const tone = sine(440, 16_000, 150_000);
    const part = await resample(tone.subarray(1_000), 16_000, 24_000);
    expect(part).toEqual(await resample(tone.slice(1_000), 16_000, 24_000));
  });

  it.each([
    [1_000, 192_000],
    [192_000, 1_000],
  ])('reaches its extremes, %i to %i Hz', async (from, to) => {
    const got = await resample(sine(100, from, 2 * from), from, to);
    expect(errorDb(got, sine(100, to, 2 * to), to / 10)).toBeLessThan(-80);
  });

  it('refuses rates that no recording has', async () => {
    await expect(resample(new Float32Array(1), 0, 24_000)).rejects.toThrow(/sample rate/);
    await expect(resample(new Float32Array(1), 24_000, 384_000)).rejects.toThrow(RangeError);
  });
});
