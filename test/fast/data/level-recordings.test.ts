import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { measureLoudness } from '../../../src/audio/loudness.js';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import { levelRecordings } from '../../../src/data/level-recordings.js';
import { readManifest, type Utterance } from '../../../src/data/manifest.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'level-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Half a second of nothing, a second of a tone, half a second of nothing. */
const recording = (size: number, rate: number) =>
  Float32Array.from({ length: 2 * rate }, (_, n) => (n < rate / 2 || n >= 1.5 * rate ? 0 : size * Math.sin(n / 7)));

const line = (id: string, source: string) =>
  JSON.stringify({ id, start: 0, duration: 2, supervisions: [{ text: `Text of ${id}.` }], recording: { sources: [{ source }] } }); // prettier-ignore

test('brings recordings of any rate and loudness to one, without the silence around them', async () => {
  writeFileSync(join(folder, 'quiet.wav'), encodeWav(recording(0.01, 16_000), 16_000));
  writeFileSync(join(folder, 'loud.wav'), encodeWav(recording(0.5, 24_000), 24_000));
  const manifest = join(folder, 'recordings.jsonl');
  writeFileSync(manifest, `${line('quiet', 'quiet.wav')}\n${line('loud', 'loud.wav')}\n`);
  const out = join(folder, 'levelled', 'recordings.jsonl');
  let done = 0;
  await levelRecordings({ manifest, out, sampleRate: 24_000, loudness: -26, onProgress: (count) => (done = count) });
  expect(done).toBe(2);

  const utterances: Utterance[] = [];
  for await (const utterance of readManifest(out)) utterances.push(utterance);
  expect(utterances.map(({ id, text }) => [id, text])).toEqual([
    ['quiet', 'Text of quiet.'],
    ['loud', 'Text of loud.'],
  ]);
  const { samples, sampleRate } = decodeWav(readFileSync(utterances[0].path));
  expect(sampleRate).toBe(24_000);
  for (const { exact, path } of utterances) {
    expect(path).toBe(utterances[0].path);
    const { startSample, numSamples } = exact!;
    expect(numSamples / 24_000).toBeCloseTo(0.06 + 1 + 0.12, 1);
    const own = samples.slice(startSample, startSample + numSamples);
    expect(measureLoudness(own, 24_000)).toBeCloseTo(-26, 1);
  }

  const written = readFileSync(out);
  rmSync(join(folder, 'loud.wav'));
  await levelRecordings({ manifest, out, sampleRate: 24_000, loudness: -26 }); // what is there is kept
  expect(readFileSync(out)).toEqual(written);
});
