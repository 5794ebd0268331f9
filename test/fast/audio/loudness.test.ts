import { describe, expect, it } from 'vitest';
import { measureLoudness, setLoudness } from '../../../src/audio/loudness.js';
import { joinSamples } from '../../../src/audio/mix-down.js';

const sine = (decibels: number, seconds: number, sampleRate = 48_000, frequency = 997) =>
  Float32Array.from(
    { length: Math.round(seconds * sampleRate) },
    (_, i) => 10 ** (decibels / 20) * Math.sin((2 * Math.PI * frequency * i) / sampleRate),
  );

describe('loudness by ITU-R BS.1770', () => {
  it.each([48_000, 44_100, 24_000, 16_000])('of a full-scale 997 Hz sine is -3.01 LUFS at %i Hz, as the standard has it', (rate) => {
    expect(measureLoudness(sine(0, 2, rate), rate)).toBeCloseTo(-3.01, 1);
  }); // prettier-ignore

  it('passes EBU Tech 3341: a quiet beginning and end do not count (cases 3 and 4, one channel)', () => {
    // The cases give both channels the same sine; one alone measures 3.01 LU less. 0.1 LU are allowed.
    const at = (level: number, seconds: number) => sine(level, seconds, 16_000);
    const third = [at(-36, 10), at(-23, 60), at(-36, 10)];
    const fourth = [at(-72, 10), ...third, at(-72, 10)];
    for (const parts of [third, fourth])
      expect(Math.abs(measureLoudness(joinSamples(parts), 16_000) + 26.01)).toBeLessThan(0.1);
  });

  it('hears low tones less: 100 Hz lies 4 dB and more under 2 kHz', () => {
    const at = (frequency: number) => measureLoudness(sine(-20, 1, 24_000, frequency), 24_000);
    expect(at(2_000) - at(100)).toBeGreaterThan(3.5);
  });

  it('of silence, of nothing and of a moment', () => {
    expect(measureLoudness(new Float32Array(24_000), 24_000)).toBe(-Infinity);
    expect(measureLoudness(new Float32Array(0), 24_000)).toBe(-Infinity);
    expect(measureLoudness(sine(-20, 0.1), 48_000)).toBeGreaterThan(-30);
  });
});

describe('setLoudness', () => {
  it('makes sound as loud as asked for', () => {
    const { samples, loudness } = setLoudness(sine(-30, 2), 48_000, -16);
    expect(loudness).toBeCloseTo(-16, 6);
    expect(measureLoudness(samples, 48_000)).toBeCloseTo(-16, 2);
  });

  it('stops where a peak would clip, and says how far it came', () => {
    const peaky = sine(-40, 2);
    peaky[5_000] = 0.5;
    const { samples, loudness } = setLoudness(peaky, 48_000, -10);
    expect(Math.max(...samples)).toBeCloseTo(10 ** (-1 / 20), 5);
    expect(loudness).toBeLessThan(-10);
  });

  it('leaves silence alone and refuses what is no loudness', () => {
    expect(setLoudness(new Float32Array(100), 24_000, -16).loudness).toBe(-Infinity);
    expect(() => setLoudness(sine(-20, 1), 48_000, Number.NaN)).toThrow(/loudness: expected LUFS below 0, got NaN/);
  });
});
