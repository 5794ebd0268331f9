import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOggEncoder } from 'wasm-media-encoders';
import { AudioError, type Audio } from '../../../src/audio/audio.js';
import { decodeAudio, outputFormat } from '../../../src/audio/formats.js';
import { readAudio } from '../../../src/audio/read-audio.js';
import { AudioFileWriter, writeAudio } from '../../../src/audio/write-audio.js';

/** A voice-like sweep with overtones, which no shift leaves as it is. */
const speech = (count: number, sampleRate: number) =>
  Float32Array.from({ length: count }, (_, i) => {
    const seconds = i / sampleRate;
    const phase = 2 * Math.PI * (120 * seconds + 40 * Math.sin(3 * seconds));
    return 0.3 * Math.sin(phase) + 0.15 * Math.sin(3 * phase) + 0.1 * Math.sin(7 * phase);
  });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sled-formats-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Pearson correlation of two recordings of one length. */
function correlation(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / Math.sqrt(aa * bb);
}

/** Encodes as a pipe gets it, in pieces of odd sizes. */
async function piped(name: string, samples: Float32Array, sampleRate: number): Promise<Buffer> {
  const encoder = await outputFormat('-', name).createEncoder(sampleRate);
  const parts = [Buffer.from(encoder.start())];
  for (let i = 0; i < samples.length; i += 1777) parts.push(Buffer.from(encoder.chunk(samples.subarray(i, i + 1777))));
  parts.push(Buffer.from(encoder.end()));
  return Buffer.concat(parts);
}

const LENGTHS = [1, 480, 12_345];

describe.each([
  ['flac', 0.999_999],
  ['mp3', 0.995],
  ['opus', 0.95],
])('%s', (name, least) => {
  it.each(LENGTHS)('gives %i samples back, no more and no fewer, where they were', async (count) => {
    const path = join(folder, `a.${name}`);
    const samples = speech(count, 24_000);
    await writeAudio(path, samples, 24_000);
    const back = await readAudio(path, { sampleRate: 24_000 });
    expect(back.samples).toHaveLength(count);
    if (count > 1_000) expect(correlation(samples, back.samples)).toBeGreaterThan(least);
  });

  it.each([16_000, 48_000])('takes %i Hz', async (sampleRate) => {
    const path = join(folder, `b.${name}`);
    const samples = speech(sampleRate / 4, sampleRate);
    await writeAudio(path, samples, sampleRate);
    const back = await readAudio(path, { sampleRate });
    expect(back.samples).toHaveLength(sampleRate / 4);
    expect(correlation(samples, back.samples)).toBeGreaterThan(least - 0.02);
  });

  it('is the same sound through a pipe, whose first bytes cannot know the length', async () => {
    const samples = speech(10_000, 24_000);
    const back = await decodeAudio(await piped(name, samples, 24_000), 'pipe');
    const path = join(folder, `c.${name}`);
    await writeAudio(path, samples, 24_000);
    const whole = await decodeAudio(await readFile(path), path);
    if (name === 'mp3')
      expect(back.samples.length - whole.samples.length).toBeLessThan(2_304); // no one says where it ends
    else expect(back.samples).toHaveLength(whole.samples.length);
    expect(back.samples.subarray(0, whole.samples.length)).toEqual(whole.samples);
  });

  it('is a line when it is cut short or changed, wherever that is', async () => {
    const path = join(folder, `d.${name}`);
    await writeAudio(path, speech(12_000, 24_000), 24_000);
    const bytes = await readFile(path);
    const attempts = [
      ...[0.1, 0.5, 0.9, 0.99].map((share) => bytes.subarray(0, Math.floor(bytes.length * share))),
      bytes.subarray(0, 5),
      Buffer.concat([bytes.subarray(0, 200), Buffer.alloc(bytes.length - 200, 0xaa)]),
    ];
    for (const attempt of attempts) {
      const error = await decodeAudio(attempt, 'broken').then(
        () => new Error('it was read'),
        (reason: Error) => reason,
      );
      expect(error, `${attempt.length} of ${bytes.length} bytes: ${error.message}`).toBeInstanceOf(AudioError);
      expect(error.message).toMatch(/^broken: [^\n]+$/);
    }
  });
});

describe('reading', () => {
  it('takes Ogg Vorbis with two channels, as their mean', async () => {
    const encoder = await createOggEncoder();
    encoder.configure({ channels: 2, sampleRate: 44_100, vbrQuality: 6 });
    const left = speech(44_100, 44_100);
    const silence = new Float32Array(left.length);
    const bytes = Buffer.concat([Buffer.from(encoder.encode([left, silence])), Buffer.from(encoder.finalize())]);
    const path = join(folder, 'vorbis.ogg');
    await writeFile(path, bytes);
    const back: Audio = await readAudio(path);
    expect([back.samples.length, back.sampleRate]).toEqual([44_100, 44_100]);
    expect(correlation(left, back.samples)).toBeGreaterThan(0.995);
    expect(Math.max(...back.samples)).toBeLessThan(0.4);
    await expect(decodeAudio(bytes.subarray(0, bytes.length - 50), 'cut')).rejects.toThrow(/^cut: .*truncated/);
  });

  it('never takes a lie about the length for granted', async () => {
    const bytes = await piped('opus', speech(24_000, 24_000), 24_000);
    const last = bytes.lastIndexOf('OggS');
    bytes.writeBigInt64LE(2n ** 50n, last + 6);
    await expect(decodeAudio(bytes, 'liar')).rejects.toThrow(/^liar: .*(checksum|samples are more)/);
  });
});

describe('writing', () => {
  it('takes the format from a flag in place of the name', async () => {
    const path = join(folder, 'no-ending');
    await writeAudio(path, speech(2_400, 24_000), 24_000, { format: 'flac' });
    expect((await readFile(path)).toString('latin1', 0, 4)).toBe('fLaC');
    await expect(AudioFileWriter.open(path, 24_000, { format: 'aiff' })).rejects.toThrow(
      /format: expected one of wav, flac, mp3, opus, pcm, got 'aiff'/,
    );
  });

  it.each(['mp3', 'opus'])('says in one line that %s has no such sample rate, and leaves no file', async (name) => {
    const path = join(folder, `rate.${name}`);
    await expect(writeAudio(path, new Float32Array(10), 1_800)).rejects.toThrow(
      /expected a sample rate of .*, got 1800; write WAV or FLAC/,
    );
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
  });
});
