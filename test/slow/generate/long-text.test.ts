import { expect, test } from 'vitest';
import { fileURLToPath } from 'node:url';
import { openSession } from '../../../src/generate/open-session.js';
import { SledTts } from '../../../src/index.js';
import type { SledConfig } from '../../../src/model/config.js';
import { BytePairs } from '../../../src/text/index.js';
import { EXACT, goldenConfig, hashedCheckpoint } from '../../fast/generate/golden-cases.js';
import { readManyWords } from '../../fast/generate/many-words.js';
import { ToyCodec } from '../../fast/generate/toy-voice.js';

const frontEnd = BytePairs.load(fileURLToPath(new URL('../../golden/bpe', import.meta.url)));
const PARAGRAPH = `Nobody spoke, and the fire went out. ${'One more thing, and another, '.repeat(8)}was said. `;

test('three thousand words are all read by a voice of phonemes', () => readManyWords(3000));

test.each(['even', 'even-stream'])('%s: three thousand words of bytes are all read', async (name) => {
  const config: SledConfig = { ...goldenConfig(name), vocabSize: 700, text: 'bpe', guidanceScale: 1 };
  const endHead = Float32Array.from({ length: config.width }, (_, c) => (c % 2 ? 0.35 : -0.2));
  const session = await openSession(config, hashedCheckpoint(config, endHead), EXACT);
  const tts = new SledTts({ config, frontEnd, session, codec: new ToyCodec(config.latentDim) });
  const text = PARAGRAPH.repeat(62);
  expect(text.trim().split(' ').length).toBeGreaterThan(3000);
  const { utterances } = await tts.generate(text);
  expect(utterances.map((one) => one.text.trim()).join(' ')).toBe(text.trim());
  await tts.free();
});
