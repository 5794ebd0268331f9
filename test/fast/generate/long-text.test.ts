import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openSession } from '../../../src/generate/open-session.js';
import { WordTokens } from '../../../src/generate/word-tokens.js';
import { WrittenText } from '../../../src/generate/written-text.js';
import { SledTts } from '../../../src/index.js';
import type { SledConfig } from '../../../src/model/config.js';
import { BytePairs } from '../../../src/text/index.js';
import { EXACT, goldenConfig, hashedCheckpoint } from './golden-cases.js';
import { ToyCodec } from './toy-voice.js';

const frontEnd = BytePairs.load(fileURLToPath(new URL('../../golden/bpe', import.meta.url)));
const TEXT = 'It was silent and gloomy. Dr. Hale slept by the fire, and nobody spoke! “Who is there?” he asked.';
const never = { sentence: Infinity, clause: Infinity, word: Infinity };

async function* pieces(text: string, size: number) {
  for (let i = 0; i < text.length; i += size) {
    await Promise.resolve();
    yield text.slice(i, i + size);
  }
}

/** Each utterance's text and ids, for limits. */
async function utterances(chunks: AsyncIterable<string>, limits: typeof never) {
  const words = new WrittenText();
  void (async () => {
    for await (const chunk of chunks) words.push(chunk);
    words.end();
  })();
  const read: { text: string; ids: number[] }[] = [];
  while (await words.peek()) {
    const utterance = new WordTokens(words, frontEnd, '', limits);
    const { ids } = await utterance.read(Infinity);
    read.push({ text: utterance.text, ids });
  }
  return read;
}

describe('byte-level text as utterances', () => {
  test.each([1, 2, 3, 7, 1000])('ends at the same sentences in pieces of %i characters', async (size) => {
    const read = await utterances(pieces(TEXT, size), { ...never, sentence: 0 });
    expect(read.map(({ text }) => text)).toEqual([
      'It was silent and gloomy.',
      'Dr. Hale slept by the fire, and nobody spoke!',
      '“Who is there?” he asked.',
    ]);
    for (const { text, ids } of read) expect(ids).toEqual(frontEnd.encode(text));
  });

  test('is one utterance to the letter where nothing limits it', async () => {
    const text = `  ${TEXT}\n\n`;
    const [{ ids }, ...rest] = await utterances(pieces(text, 5), never);
    expect(ids).toEqual(frontEnd.encode(text));
    expect(rest).toEqual([]);
  });

  test.each([3, 64])('cuts what has no sentence at clauses, what has none at words, and what has none anywhere, in pieces of %i', async (size) => {
    const limits = { sentence: 20, clause: 20, word: 30 };
    const clauses = await utterances(pieces('the fire went out, and he slept on, '.repeat(9), size), limits);
    expect(clauses.length).toBeGreaterThan(3);
    for (const { text } of clauses) expect(text).toMatch(/^\S.*(,|, )$/);
    const words = await utterances(pieces('fire '.repeat(300).trim(), size), limits);
    expect(words.map(({ text }) => text).join(' ')).toBe('fire '.repeat(300).trim());
    const none = await utterances(pieces('火'.repeat(900), size), limits);
    expect(none.map(({ text }) => text).join('')).toBe('火'.repeat(900));
    for (const { ids } of none) expect(ids.length).toBeLessThan(30 + 64 * 3);
  }); // prettier-ignore
});

describe('a model that reads byte-level text', () => {
  const base: SledConfig = { ...goldenConfig('even'), vocabSize: 700, text: 'bpe', guidanceScale: 2 };

  async function open(changes: Partial<SledConfig>): Promise<SledTts> {
    const config = { ...base, ...changes };
    const endHead = Float32Array.from({ length: config.width }, (_, c) => (c % 2 ? 0.35 : -0.2));
    const session = await openSession(config, hashedCheckpoint(config, endHead), EXACT);
    return new SledTts({ config, frontEnd, session, codec: new ToyCodec(config.latentDim) });
  }

  test('speaks what fits as one utterance, as the released code does, and sentence by sentence while it is written', async () => {
    const tts = await open({ maxPositions: 2048 });
    const options = { maxFrames: 500 };
    expect((await tts.generate(TEXT, options)).utterances.map(({ text }) => text)).toEqual([TEXT]);
    const spoken: string[] = [];
    const chunks = tts.stream(pieces(TEXT, 4), { ...options, onUtterance: ({ text }) => spoken.push(text) });
    for await (const _ of chunks);
    expect(spoken.slice(0, 2)).toEqual(['It was silent and gloomy.', 'Dr. Hale slept by the fire, and nobody spoke!']);
    await tts.free();
  });
});
