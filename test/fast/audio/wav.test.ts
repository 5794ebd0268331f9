import { describe, expect, it } from 'vitest';
import { AudioError } from '../../../src/audio/audio.js';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { encodeWav, wavHeader } from '../../../src/audio/wav-writer.js';
import { makeWav, type WavSpec } from './make-wav.js';

const CHANNELS = [
  [0, 0.5, -0.5, 0.25],
  [0, -0.25, -0.5, 0.75],
];
const MEAN = [0, 0.125, -0.5, 0.5];

describe('WAV reading', () => {
  const encodings: [string, Omit<WavSpec, 'channels'>, number][] = [
    ['PCM of 8 bits', { code: 1, bits: 8 }, 1 / 128],
    ['PCM of 16 bits', { code: 1, bits: 16 }, 0],
    ['PCM of 24 bits', { code: 1, bits: 24 }, 0],
    ['PCM of 32 bits', { code: 1, bits: 32 }, 0],
    ['float of 32 bits', { code: 3, bits: 32 }, 0],
    ['float of 64 bits', { code: 3, bits: 64 }, 0],
    ['extensible PCM of 24 bits', { code: 1, bits: 24, extensible: true }, 0],
    ['extensible float', { code: 3, bits: 32, extensible: true }, 0],
    ['a file in the form for long recordings', { code: 1, bits: 16, long: true }, 0],
    ['a file with other chunks before the sound', { code: 1, bits: 16, extraChunk: true }, 0],
    ['a stream whose length was not known', { code: 1, bits: 16, declaredBytes: 0xffffffff }, 0],
  ];
  it.each(encodings)('reads %s as the mean of its channels', (_title, spec, tolerance) => {
    const { samples, sampleRate } = decodeWav(makeWav({ channels: CHANNELS, sampleRate: 22_050, ...spec }));
    expect(sampleRate).toBe(22_050);
    expect(samples.length).toBe(MEAN.length);
    MEAN.forEach((value, i) => expect(Math.abs(samples[i] - value)).toBeLessThanOrEqual(tolerance));
  });

  it.each([1, 2, 3, 6, 40])('averages %i channels', (count) => {
    const channels = Array.from({ length: count }, (_, i) => [i / 64, -i / 64]);
    const { samples } = decodeWav(makeWav({ channels, sampleRate: 8_000, code: 1, bits: 16 }));
    expect(samples[0]).toBeCloseTo((count - 1) / 128, 6);
    expect(samples[1]).toBeCloseTo(-(count - 1) / 128, 6);
  });

  it('reads bytes that do not begin at an even address', () => {
    const wav = makeWav({ channels: CHANNELS, sampleRate: 8_000, code: 1, bits: 16 });
    const shifted = new Uint8Array(wav.length + 1);
    shifted.set(wav, 1);
    expect(decodeWav(shifted.subarray(1)).samples[1]).toBe(MEAN[1]);
  });

  const bad: [string, Uint8Array | WavSpec, RegExp][] = [
    ['an empty file', new Uint8Array(0), /not a WAV file/],
    ['a text', Buffer.from('Call me Ishmael. Some years ago'), /not a WAV file/],
    ['a header only', Buffer.from('RIFF....WAVE'), /truncated/],
    ['no channels', { channels: [], code: 1, bits: 16 }, /channel/],
    ['a sample rate of nought', { channels: CHANNELS, code: 1, bits: 16, sampleRate: 0 }, /sample rate/],
    ['twelve bits', { channels: CHANNELS, code: 1, bits: 16, declaredBits: 12 }, /got format 1 of 12 bits/],
    ['MP3 in WAV', { channels: CHANNELS, code: 85, bits: 16 }, /got format 85/],
    ['a frame size that does not fit', { channels: CHANNELS, code: 1, bits: 16, frameBytes: 3 }, /need 4 bytes/],
    ['more sound promised than there is', { channels: CHANNELS, code: 1, bits: 16, declaredBytes: 64 }, /truncated/],
    ['no number among floats', { channels: [[Number.NaN]], code: 3, bits: 32 }, /not finite/],
  ];
  it.each(bad)('refuses %s with one clear line', (_title, input, message) => {
    const bytes = input instanceof Uint8Array ? input : makeWav({ sampleRate: 8_000, ...input });
    const error = catchError(() => decodeWav(bytes, 'x.wav'));
    expect(error).toBeInstanceOf(AudioError);
    expect(error?.message).toMatch(message);
    expect(error?.message).toMatch(/^x\.wav: [^\n]+$/);
  });

  it('answers every cut and every changed byte with sound or an AudioError', () => {
    const wav = makeWav({ channels: CHANNELS, sampleRate: 8_000, code: 1, bits: 16, extensible: true });
    for (let length = 0; length < wav.length; length++) expectSoundOrAudioError(wav.slice(0, length));
    for (let i = 0; i < wav.length; i++)
      for (const value of [0, 1, 127, 128, 255]) {
        const changed = wav.slice();
        changed[i] = value;
        expectSoundOrAudioError(changed);
      }
  });
});

describe('WAV writing', () => {
  it('is read back as it was written, to half a step of 16 bits', () => {
    const samples = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i / 7) * 0.9);
    const read = decodeWav(encodeWav(samples, 24_000));
    expect(read.sampleRate).toBe(24_000);
    expect(read.samples.length).toBe(1000);
    read.samples.forEach((value, i) => expect(Math.abs(value - samples[i])).toBeLessThanOrEqual(0.5 / 2 ** 15));
  });

  it('clips what lies outside instead of wrapping around', () => {
    const { samples } = decodeWav(encodeWav(Float32Array.of(1, 1.5, -1, -7), 24_000));
    expect([...samples]).toEqual([32767 / 32768, 32767 / 32768, -1, -1]);
  });

  it('has a header for streams whose length is not known, which reads to the end', () => {
    const bytes = Buffer.concat([wavHeader(24_000), encodeWav(Float32Array.of(0.5, 0.25), 24_000).subarray(44)]);
    expect([...decodeWav(bytes).samples]).toEqual([0.5, 0.25]);
  });

  it('refuses more than a WAV file can hold', () => {
    expect(() => wavHeader(24_000, 2 ** 31)).toThrow(RangeError);
  });
});

function catchError(action: () => unknown): Error | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

function expectSoundOrAudioError(bytes: Uint8Array): void {
  const error = catchError(() => decodeWav(bytes));
  if (error) expect(error).toBeInstanceOf(AudioError);
}
