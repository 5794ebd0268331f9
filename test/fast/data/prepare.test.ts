import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import type { Codec, CodebookCodec } from '../../../src/codec/codec.js';
import { ManifestError, readManifest } from '../../../src/data/manifest.js';
import { prepare, type PrepareOptions } from '../../../src/data/prepare.js';
import { openShards, writeShard, type ShardRow } from '../../../src/data/shards.js';
import { CheckpointError } from '../../../src/model/errors.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'data-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const INFO = { latentDim: 2, hopLength: 10, sampleRate: 8000, frontEnd: 'test' };
const row = (id: string, frames: number, ends: number[] | null): ShardRow => ({
  id,
  text: `text of ${id}`,
  tokens: [0, 5, 6, 2],
  latents: Float32Array.from({ length: frames * 2 }, (_, i) => i / 4),
  ends,
});

test('reads back the rows of several shards in order', () => {
  writeShard(join(folder, 'b.arrow'), [row('b0', 2, null)], INFO);
  writeShard(join(folder, 'a.arrow'), [row('a0', 3, [12, 30]), row('a1', 1, null), row('a2', 4, [1, 40])], INFO);
  const data = openShards(folder);
  expect([...data.frames]).toEqual([3, 1, 4, 2]);
  expect(data.info).toEqual(INFO);
  const sample = data.sample(2);
  expect(sample).toMatchObject({ id: 'a2', text: 'text of a2', frames: 4 });
  expect([...sample.tokens]).toEqual([0, 5, 6, 2]);
  expect([...sample.spoken!]).toEqual([1, 3, 2, 3, 2, 3, 2, 3]);
  const latents = new Float32Array(9);
  sample.copyLatents(latents, 1);
  expect([...latents]).toEqual([0, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]);
  expect(data.sample(3).spoken).toBeNull();
});

test('refuses no shards, damaged shards, and shards that do not belong together', () => {
  expect(() => openShards(folder)).toThrow(CheckpointError);
  const path = join(folder, 'a.arrow');
  writeShard(path, [row('a', 3, null)], INFO);
  const whole = readFileSync(path);
  for (const length of [0, 10, whole.length >> 1]) {
    writeFileSync(path, whole.subarray(0, length));
    expect(() => openShards(folder), `cut at ${length}`).toThrow(CheckpointError);
  }
  writeFileSync(path, whole);
  writeShard(join(folder, 'b.arrow'), [row('b', 3, null)], { ...INFO, hopLength: 20 });
  expect(() => openShards(folder)).toThrow(/b\.arrow.*hopLength":20/);
});

const line = (id: string, start: number, duration: number) =>
  JSON.stringify({
    id,
    start,
    duration,
    supervisions: [{ text: `say ${id}` }],
    recording: { sources: [{ source: 'speech.wav' }] },
  });

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('reads short and LibriHeavy manifest lines, gzipped or not', async () => {
  const raw = { id: 'x', start: 1, duration: 2, supervisions: [{ custom: { texts: ['Cased, yes.', 'CASED YES'] } }], recording: { sources: [{ source: 'a.flac' }] } }; // prettier-ignore
  writeFileSync(join(folder, 'm.jsonl.gz'), gzipSync(`${line('a', 0, 1)}\n\n${JSON.stringify(raw)}\n`));
  const utterances = await collect(readManifest(join(folder, 'm.jsonl.gz')));
  const normalised = await collect(readManifest(join(folder, 'm.jsonl.gz'), { textIndex: 1, audioRoot: '/speech' }));
  expect(normalised.map(({ text }) => text)).toEqual(['say a', 'CASED YES']);
  expect(normalised[1].path).toBe('/speech/a.flac');
  expect(utterances.map(({ text }) => text)).toEqual(['say a', 'Cased, yes.']);
  expect(utterances[1]).toMatchObject({ path: join(folder, 'a.flac'), startSeconds: 1, durationSeconds: 2 });
});

test.each(['{', '{}', '[]', 'null', line('a', -1, 1), line('a', 0, 0)])(
  'names the line that cannot be used: %s',
  async (bad) => {
    writeFileSync(join(folder, 'm.jsonl'), `${line('a', 0, 1)}\n${bad}\n`);
    await expect(collect(readManifest(join(folder, 'm.jsonl')))).rejects.toThrow(ManifestError);
    await expect(collect(readManifest(join(folder, 'm.jsonl')))).rejects.toThrow(/m\.jsonl:2/);
  },
);

test('refuses a manifest that is missing or cut inside its gzip', async () => {
  await expect(collect(readManifest(join(folder, 'none.jsonl')))).rejects.toThrow(/ENOENT/);
  writeFileSync(join(folder, 'm.jsonl.gz'), gzipSync(`${line('a', 0, 1)}\n`.repeat(500)).subarray(0, 40));
  await expect(collect(readManifest(join(folder, 'm.jsonl.gz')))).rejects.toThrow();
});

/** A codec whose latents are the first two samples of each frame. */
const codec: Codec = {
  sampleRate: 8000,
  hopLength: 10,
  latentDim: 2,
  channelScale: Float32Array.of(1, 1),
  encode: async (samples) =>
    Float32Array.from({ length: 2 * Math.ceil(samples.length / 10) }, (_, i) => samples[(i >> 1) * 10 + (i & 1)]),
  createDecoder: () => {
    throw new Error('not used');
  },
  free: async () => {},
};

/** Two recordings of 100 ms; three utterances of the first, one of the second, not in time order. */
function preparation(): PrepareOptions {
  const wave = (period: number) => Float32Array.from({ length: 800 }, (_, i) => (i % period) / 64);
  writeFileSync(join(folder, 'speech.wav'), encodeWav(wave(64), 8000));
  writeFileSync(join(folder, 'other.wav'), encodeWav(wave(50), 8000));
  const lines = [line('a', 0.05, 0.025), line('b', 0, 0.025), line('c', 0.025, 0.025), line('d', 0, 0.05).replace('speech', 'other')]; // prettier-ignore
  writeFileSync(join(folder, 'm.jsonl'), lines.join('\n'));
  const frontEnd = {
    vocabSize: 9,
    encode: () => [0, 7, 2],
    createStream: () => ({ push: () => [], end: () => [], words: [] }),
  };
  return {
    manifests: [join(folder, 'm.jsonl')],
    out: join(folder, 'out'),
    codec,
    frontEnd,
    frontEndName: 'test',
    shardSize: 2,
  };
}

const shardsOf = (out: string) => readdirSync(out).filter((name) => name.endsWith('.arrow'));

test('prepares latents and tokens of cuts in the order of the manifest, and goes on where it was killed', async () => {
  const options = preparation();
  expect(await prepare(options)).toMatchObject({ read: 4, encoded: 4, skipped: 0, shards: 2 });
  const data = openShards(options.out);
  expect([...data.frames]).toEqual([20, 20, 20, 40]);
  expect([0, 1, 2, 3].map((i) => data.sample(i).id)).toEqual(['a', 'b', 'c', 'd']);
  const latents = new Float32Array(80);
  for (const [i, first] of [(400 % 64) / 64, 0, (200 % 64) / 64, 0].entries()) {
    data.sample(i).copyLatents(latents, 0);
    expect(latents[0]).toBeCloseTo(first, 3);
  }
  rmSync(join(options.out, 'm-00001.arrow'));
  writeFileSync(join(options.out, 'm-00001.arrow.7.part'), 'what a killed process left');
  const kept = readFileSync(join(options.out, 'm-00000.arrow'));
  expect(await prepare(options)).toMatchObject({ read: 4, encoded: 1, shards: 1 });
  expect(readdirSync(options.out)).toEqual(['m-00000.arrow', 'm-00001.arrow', 'prepare.json']);
  expect(readFileSync(join(options.out, 'm-00000.arrow'))).toEqual(kept);
});

test('two ranks make the shards of one, no recording divided between them', async () => {
  const options = preparation();
  await prepare({ ...options, out: join(folder, 'one') });
  for (const rank of [0, 1]) expect((await prepare({ ...options, rank, ranks: 2 })).shards).toBe(1);
  expect(shardsOf(options.out)).toEqual(['m-00000.arrow', 'm-00001.arrow']);
  for (const name of shardsOf(options.out))
    expect(readFileSync(join(options.out, name))).toEqual(readFileSync(join(folder, 'one', name)));
});

test('leaves out what is too long or not there, and keeps the empty shard so that it is not tried again', async () => {
  const options = preparation();
  rmSync(join(folder, 'other.wav'));
  await expect(prepare(options)).rejects.toThrow(/other\.wav: no such file/);
  expect(await prepare({ ...options, skipMissing: true })).toMatchObject({ encoded: 0, skipped: 1 });
  expect([...openShards(options.out).frames]).toEqual([20, 20, 20]);
  // 3 tokens, specials included, and 20 frames: 23 positions reach a limit of 23
  for (const [maxPositions, encoded] of [
    [24, 3],
    [23, 0],
  ])
    expect(await prepare({ ...options, out: join(folder, `p${maxPositions}`), skipMissing: true, maxPositions })).toMatchObject({ encoded }); // prettier-ignore
  expect(() => openShards(join(folder, 'p23'))).toThrow(/no utterance/);
  expect(() => openShards(options.out, { maxPositions: 22 })).toThrow(/no utterance of at most 22/);
  expect(openShards(options.out, { maxPositions: 23 }).dropped).toBe(0);
});

test('refuses to mix settings in a folder, and manifests of one name', async () => {
  const options = preparation();
  await prepare(options);
  await expect(prepare({ ...options, maxSeconds: 3 })).rejects.toThrow(/prepared with .*another --out/);
  await expect(prepare({ ...options, manifests: ['a/m.jsonl', 'b/m.jsonl.gz'] })).rejects.toThrow(/two manifests/);
});

test('keeps codes of a codec that has them, and reads them as sums of codebook vectors', async () => {
  const codebookVectors = [Float32Array.of(1, 2, 3, 4), Float32Array.of(10, 20, 30, 40)]; // 2 books of 2 vectors [2]
  const coded: CodebookCodec = {
    ...codec,
    codebookVectors,
    encodeToCodes: async (samples) => {
      const T = Math.ceil(samples.length / 10);
      return Int32Array.from({ length: 2 * T }, (_, i) => (i < T ? i % 2 : 1)); // [K, T]
    },
  };
  const options = { ...preparation(), codec: coded };
  await prepare(options);
  const data = openShards(options.out);
  expect(data.info).toMatchObject({ codebooks: 2, latentDim: 2 });
  const latents = new Float32Array(40);
  data.sample(2).copyLatents(latents, 0);
  expect([...latents.subarray(0, 4)]).toEqual([31, 42, 33, 44]);
  expect(readdirSync(options.out)).toContain('codebooks.safetensors');
});

test('says which utterance lies outside its recording', async () => {
  const options = preparation();
  writeFileSync(join(folder, 'm.jsonl'), line('late', 0.09, 1));
  await expect(prepare(options)).rejects.toThrow(/late: ends at sample 8720.*800/);
});
