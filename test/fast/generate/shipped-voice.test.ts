import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openSession } from '../../../src/generate/open-session.js';
import { shippedVoice } from '../../../src/generate/shipped-voices.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { SledTts } from '../../../src/index.js';
import { parseConfig, type SledConfig } from '../../../src/model/config.js';
import { readSafetensors, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { createFrontEnd } from '../../../src/text/index.js';
import { collectFrames, EXACT, framesOf, largestDifference } from './golden-cases.js';
import { drawWithTorch } from './whole-sequence.js';

const TEXT = 'The ferry leaves at half past seven.';
let directory: string;
let config: SledConfig;
let checkpoint: Map<string, SafetensorsArray>;

beforeAll(() => {
  directory = shippedVoice('wren')!;
  config = parseConfig(JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')));
  checkpoint = readSafetensors(join(directory, 'model.safetensors')).tensors;
});

test('ggml draws what libtorch computes, within 1e-3 in float32', async () => {
  const text = createFrontEnd({ kind: config.text, directory }).encode(TEXT);
  const session = await openSession(config, checkpoint, EXACT);
  const { guidanceScale } = config;
  const noise = new TorchRandom(0);
  const generated = await collectFrames(session, config, TokenQueue.of(text), { noise, guidanceScale });
  await session.free();
  const { frames, reason } = generated;
  expect(reason).toBe('end');
  const again = new TorchRandom(0);
  const noises = Float32Array.from(frames.flatMap(() => [...again.randn(config.noiseDim)]));
  const drawn = drawWithTorch(config, checkpoint, { text, frames, noise: noises, guidanceScale });
  framesOf(drawn, config.latentDim).forEach((frame, i) =>
    expect(largestDifference(frame, frames[i]), `frame ${i}`).toBeLessThan(1e-3),
  );
});

test('ends by itself, for as long as the sentence needs', async () => {
  const warnings: string[] = [];
  const tts = await SledTts.load({ onWarning: (message) => warnings.push(message) });
  const { samples, sampleRate } = await tts.generate(TEXT);
  await tts.free();
  expect(warnings).toEqual([]);
  expect(samples.length / sampleRate).toBeGreaterThan(1);
  expect(samples.length / sampleRate).toBeLessThan(5);
});

test('says when each word sounds: in order, the stressed ones longer, up to the end of the speech', async () => {
  const tts = await SledTts.load();
  const { words, utterances } = await tts.generate(TEXT, { words: true });
  await tts.free();
  expect(words.map(({ word }) => word)).toEqual(TEXT.split(' '));
  const seconds = new Map(words.map(({ word, startSeconds, endSeconds }) => [word, endSeconds - startSeconds]));
  for (const [long, short] of [['ferry', 'The'], ['leaves', 'at'], ['seven.', 'at']]) expect(seconds.get(long)).toBeGreaterThan(2 * seconds.get(short)!); // prettier-ignore
  words.forEach(({ startSeconds }, i) => expect(startSeconds).toBeGreaterThanOrEqual(i && words[i - 1].endSeconds));
  const silence = utterances[0].endSeconds - words.reduce((sum, word) => sum + word.endSeconds - word.startSeconds, 0);
  expect(silence).toBeLessThan(0.3 * utterances[0].endSeconds);
});
