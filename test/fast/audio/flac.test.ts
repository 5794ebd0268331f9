import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { AudioError } from '../../../src/audio/audio.js';
import { decodeFlac } from '../../../src/audio/flac.js';

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}.flac`, import.meta.url)));
const left = (i: number) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 24_000);
const right = (i: number) => 0.25 * Math.sin((2 * Math.PI * 660 * i) / 24_000);

describe('FLAC reading', () => {
  it.each([
    ['stereo-16', 24_000, (i: number) => (left(i) + right(i)) / 2, 2 ** -15],
    ['mono-24', 44_100, left, 2 ** -23],
    ['mono-8', 16_000, left, 2 ** -7],
    ['six-16', 48_000, (i: number) => (left(i) * 3.5) / 6, 2 ** -15],
  ])('reads %s as the mean of its channels', async (name, rate, expected, tolerance) => {
    const { samples, sampleRate } = await decodeFlac(fixture(name));
    expect(sampleRate).toBe(rate);
    expect(samples.length).toBe(6000);
    let worst = 0;
    samples.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - expected(i)))));
    expect(worst).toBeLessThanOrEqual(tolerance);
  });

  it('refuses a file without the FLAC mark', async () => {
    await expect(decodeFlac(Buffer.from('RIFFxxxxWAVE'), 'x.flac')).rejects.toThrow(/^x\.flac: not a FLAC file/);
  });

  it('refuses a truncated file at any length with one clear line and nothing on standard error', async () => {
    const complaints = vi.spyOn(console, 'error');
    const whole = fixture('stereo-16');
    for (let length = 4; length < whole.length; length += 97)
      await expect(decodeFlac(whole.slice(0, length), 'x.flac')).rejects.toThrow(/^x\.flac: [^\n]*(truncated|damaged)/);
    expect(complaints).not.toHaveBeenCalled();
    complaints.mockRestore();
  });

  it('refuses damaged sound, wherever the damage is', async () => {
    const whole = fixture('stereo-16');
    const firstFrame = whole.length - 4000;
    for (let at = firstFrame; at < whole.length; at += 211) {
      const damaged = whole.slice();
      damaged[at] ^= 0x10;
      await expect(decodeFlac(damaged)).rejects.toThrow(AudioError);
    }
  });

  it('refuses a header that promises days of sound before it takes the memory', async () => {
    const bomb = fixture('mono-24');
    bomb.set([0xff, 0xff, 0xff, 0xff], 22);
    await expect(decodeFlac(bomb)).rejects.toThrow(/cut the recording/);
  });
});
