import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import { writeMelCodecFiles } from '../../../src/codec/mel/files.js';
import { defaultWeights } from '../../../src/generate/weights.js';
import { CheckpointError, SledTts } from '../../../src/index.js';
import { writeConfig, type SledConfig } from '../../../src/model/config.js';
import { writeSafetensors } from '../../../src/model/safetensors.js';
import { PHONEME_VOCAB_SIZE } from '../../../src/text/index.js';
import { randomCodecFiles } from '../codec/random-codec.js';
import { TINY } from '../codec/tiny.js';
import { goldenConfig, hashedCheckpoint } from './golden-cases.js';

const root = mkdtempSync(join(tmpdir(), 'sled-load-'));
const model = join(root, 'voice');
const config: SledConfig = {
  ...goldenConfig('even-stream'),
  vocabSize: PHONEME_VOCAB_SIZE,
  text: 'phonemes-en',
  latentDim: TINY.latentDim,
};

/** Writes a whole voice, so that each test can break one thing. */
function writeVoice(directory: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config.json'), JSON.stringify(writeConfig(config)));
  writeSafetensors(join(directory, 'model.safetensors'), hashedCheckpoint(config, new Float32Array(config.width)));
  writeMelCodecFiles(join(directory, 'codec'), randomCodecFiles(TINY));
}

beforeAll(() => writeVoice(model));
afterAll(() => rmSync(root, { recursive: true }));

const load = (directory: string, options = {}) => SledTts.load({ model: directory, threads: 1, ...options });

test('loads a directory and speaks English, the same audio in pieces', async () => {
  const tts = await load(model);
  const text = 'Dr. Smith paid $5. Did he?';
  const { samples, frames } = await tts.generate(text, { seed: 3 });
  expect(samples).toHaveLength((frames * tts.sampleRate) / tts.frameRate);
  const streamed: number[] = [];
  for await (const chunk of tts.stream((async function* () { yield* text; })(), { seed: 3 })) streamed.push(...chunk); // prettier-ignore
  expect(streamed).toEqual([...samples]);
  await tts.free();
});

test('warns of a character that has no sound, and speaks the rest', async () => {
  const warnings: string[] = [];
  const tts = await load(model, { onWarning: (message: string) => warnings.push(message) });
  expect((await tts.generate('one 漢 two', { maxFrames: 5 })).frames).toBe(5);
  await tts.free();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain('漢');
});

describe('a model that cannot be used is one clear CheckpointError', () => {
  const broken = (name: string, breakIt: (directory: string) => void) => {
    const directory = join(root, name);
    writeVoice(directory);
    breakIt(directory);
    return load(directory);
  };
  const rewriteConfig = (change: (json: Record<string, unknown>) => void) => (directory: string) => {
    const path = join(directory, 'config.json');
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(path, JSON.stringify(json));
  };

  test.each([
    ['no-config', (d: string) => rmSync(join(d, 'config.json')), /expected a directory with a config\.json/],
    ['no-json', (d: string) => writeFileSync(join(d, 'config.json'), '{"vocab'), /config\.json: .*JSON/],
    ['unknown-key', rewriteConfig((json) => (json.heads = 3)), /config\.json: unknown key heads/],
    ['no-weights', (d: string) => rmSync(join(d, 'model.safetensors')), /model\.safetensors: no such file/],
    ['truncated', (d: string) => truncateSync(join(d, 'model.safetensors'), 30_000), /model\.safetensors.*truncated/],
    ['empty', (d: string) => truncateSync(join(d, 'model.safetensors'), 0), /expected at least 8 bytes, got 0/],
    ['other-width', rewriteConfig((json) => (json.hidden_size = 32)), /does not fit its config: .*z_proj\.weight: expected \[32,\d+\], got \[64,\d+\]/],
    ['no-codec', (d: string) => rmSync(join(d, 'codec'), { recursive: true }), /codec/],
    ['other-codec', (d: string) => writeMelCodecFiles(join(d, 'codec'), randomCodecFiles({ ...TINY, latentDim: 5 })), /codec: expected \d+ latent channels/],
  ])('%s', async (name, breakIt, message) => {
    const before = liveObjects();
    const loading = broken(name, breakIt);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toBeInstanceOf(CheckpointError);
    expect(liveObjects()).toEqual(before);
  }); // prettier-ignore

  test('a name that is neither a directory nor a shipped voice', async () => {
    await expect(load('no-such-voice')).rejects.toThrow(
      /model no-such-voice: expected a directory, the name of a shipped voice \(wren\) or a hub id/,
    );
  });
});

test.each([
  ['a small network in q8_0', 7e6, 'q8_0'],
  ['one of the released size in q4_K', 185e6, 'q4_K'],
])('keeps %s unless told otherwise', (_, weightCount, type) => {
  expect(defaultWeights(weightCount)).toBe(type);
});
