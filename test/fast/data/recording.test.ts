import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readAudio } from '../../../src/audio/read-audio.js';
import { openAudioStream } from '../../../src/audio/stream-audio.js';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import type { Cut } from '../../../src/data/manifest.js';
import { readCuts } from '../../../src/data/recording.js';
import { encodeFlac } from './make-flac.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'recording-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const RATE = 16_000;
const ramp = Float32Array.from({ length: 5 * RATE }, (_, i) => Math.sin(i / 7) * 0.5);
const fixtures = ['mono-8', 'mono-24', 'six-16', 'stereo-16'].map((name) => `test/fast/audio/fixtures/${name}.flac`);

async function joined(path: string): Promise<{ samples: number[]; sampleRate: number; length: number }> {
  const { blocks, sampleRate, length, close } = await openAudioStream(path);
  const samples: number[] = [];
  for await (const block of blocks) samples.push(...block);
  await close();
  return { samples, sampleRate, length };
}

const cut = (id: string, startSeconds: number, durationSeconds: number): Cut => ({
  id,
  path: 'x',
  startSeconds,
  durationSeconds,
  exact: null,
});

test.each(fixtures)('decodes block by block what is decoded at once: %s', async (path) => {
  const whole = await readAudio(path);
  const stream = await joined(path);
  expect(stream.sampleRate).toBe(whole.sampleRate);
  expect(stream.length).toBe(whole.samples.length);
  expect(stream.samples).toEqual([...whole.samples]);
});

test('reads long WAV and FLAC files of several blocks the same', async () => {
  writeFileSync(join(folder, 'a.wav'), encodeWav(ramp, RATE));
  const pcm = Int16Array.from((await joined(join(folder, 'a.wav'))).samples, (x) => Math.round(x * 32768));
  writeFileSync(join(folder, 'a.flac'), encodeFlac(pcm, RATE));
  const wav = await joined(join(folder, 'a.wav'));
  expect(wav.samples.length).toBe(ramp.length);
  const flac = await joined(join(folder, 'a.flac'));
  expect(flac.samples).toEqual(wav.samples);
});

test.each(['wav', 'flac'])(
  'gives each cut of a %s file its samples, in time order, overlapping or not',
  async (kind) => {
    const pcm = Int16Array.from(ramp, (x) => Math.round(x * 32767));
    const path = join(folder, `a.${kind}`);
    writeFileSync(path, kind === 'wav' ? encodeWav(ramp, RATE) : encodeFlac(pcm, RATE));
    const { samples: all } = await readAudio(path);
    const cuts = [cut('late', 3.3, 1.7), cut('first', 0, 0.4), cut('long', 0.1, 4), cut('inside', 0.2, 0.0125)];
    const order: string[] = [];
    for await (const { cut: one, samples } of readCuts(path, cuts)) {
      order.push(one.id);
      const start = Math.trunc(one.startSeconds * RATE);
      expect([...samples], one.id).toEqual([...all.subarray(start, Math.trunc((one.startSeconds + one.durationSeconds) * RATE))]); // prettier-ignore
    }
    expect(order).toEqual(['first', 'inside', 'long', 'late']);
  },
);

test('shortens a rounded end, and refuses one beyond the recording or a truncated file', async () => {
  const path = join(folder, 'a.flac');
  const bytes = encodeFlac(Int16Array.from(ramp, (x) => Math.round(x * 32767)), RATE); // prettier-ignore
  writeFileSync(path, bytes);
  const read = async (...cuts: Cut[]) => {
    const lengths: number[] = [];
    for await (const { samples } of readCuts(path, cuts)) lengths.push(samples.length);
    return lengths;
  };
  expect(await read(cut('end', 4, 1.05))).toEqual([RATE]);
  await expect(read(cut('beyond', 4, 1.2))).rejects.toThrow(/beyond: ends at sample 83200, but .*a\.flac has 80000/);
  await expect(read(cut('after', 5, 0.05))).rejects.toThrow(/after: ends/);
  for (const length of [20, 100, bytes.length >> 1]) {
    writeFileSync(path, bytes.subarray(0, length));
    await expect(read(cut('end', 4, 1)), `cut at ${length}`).rejects.toThrow(/a\.flac: .*(truncated|damaged)/);
  }
  expect(readFileSync(path).length).toBe(bytes.length >> 1);
});
