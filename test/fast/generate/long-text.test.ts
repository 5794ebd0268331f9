import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CarriedVoice } from '../../../src/generate/carried-voice.js';
import { openSession } from '../../../src/generate/open-session.js';
import { WordTokens } from '../../../src/generate/word-tokens.js';
import { WrittenText } from '../../../src/generate/written-text.js';
import { SledTts } from '../../../src/index.js';
import type { SledConfig } from '../../../src/model/config.js';
import { BytePairs } from '../../../src/text/index.js';
import { EXACT, goldenConfig, hashedCheckpoint } from './golden-cases.js';
import { readManyWords } from './many-words.js';
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

  async function open(changes: Partial<SledConfig>) {
    const config = { ...base, ...changes };
    const endHead = Float32Array.from({ length: config.width }, (_, c) => (c % 2 ? 0.35 : -0.2));
    const session = await openSession(config, hashedCheckpoint(config, endHead), EXACT);
    const codec = new ToyCodec(config.latentDim);
    return { codec, tts: new SledTts({ config, frontEnd, session, codec }) };
  }

  test('speaks what fits as one utterance, as the released code does, and sentence by sentence while it is written', async () => {
    const { tts } = await open({ maxPositions: 2048 });
    const options = { maxFrames: 500 };
    expect((await tts.generate(TEXT, options)).utterances.map(({ text }) => text)).toEqual([TEXT]);
    const spoken: string[] = [];
    const chunks = tts.stream(pieces(TEXT, 4), { ...options, onUtterance: ({ text }) => spoken.push(text) });
    for await (const _ of chunks);
    expect(spoken.slice(0, 2)).toEqual(['It was silent and gloomy.', 'Dr. Hale slept by the fire, and nobody spoke!']);
    await tts.free();
  });

  test.each(['even', 'even-stream'])('%s: reads a long text to its end, in one decoder, at any chunking', async (name) => {
    const { textPerTurn, framesPerTurn } = goldenConfig(name);
    const { tts, codec } = await open({ textPerTurn, framesPerTurn });
    const text = `${TEXT} ${'One more thing, and another, '.repeat(12)}was said. `.repeat(3);
    let created = 0;
    const make = codec.createDecoder.bind(codec);
    codec.createDecoder = () => (created++, make());
    const whole = await tts.generate(text, { seed: 4, guidanceScale: 1 });
    expect(created).toBe(1);
    expect(whole.utterances.length).toBeGreaterThan(10);
    expect(whole.utterances.map(({ text }) => text.trim()).join(' ')).toBe(text.trim());
    whole.utterances.forEach(({ startSeconds, endSeconds }, i) => {
      expect(startSeconds).toBe(i === 0 ? 0 : whole.utterances[i - 1].endSeconds);
      expect(endSeconds).toBeGreaterThanOrEqual(startSeconds);
    });
    expect(whole.utterances.at(-1)?.endSeconds).toBe(whole.frames / tts.frameRate);
    const spoken: string[] = [];
    const onUtterance = ({ text }: { text: string }) => spoken.push(text);
    for await (const _ of tts.stream(pieces(text, 11), { seed: 4, guidanceScale: 1, onUtterance }));
    if (name === 'even-stream') expect(spoken).toEqual(whole.utterances.map(({ text }) => text));
    expect(spoken.map((one) => one.trim()).join(' ')).toBe(text.trim());
    expect(codec.decoders).toBe(0);
    await tts.free();
  }); // prettier-ignore

  test('reads its text after a prompt whose own text is far too long for its sound', async () => {
    const { textPerTurn, framesPerTurn } = goldenConfig('even-stream');
    const { tts } = await open({ textPerTurn, framesPerTurn, maxPositions: 1024 });
    const prompt = { text: TEXT.repeat(2), latents: new Float32Array(2 * tts.config.latentDim) };
    const { utterances } = await tts.generate('Nobody spoke.', { prompt, guidanceScale: 1 });
    expect(utterances.map(({ text }) => text)).toEqual(['Nobody spoke.']);
    await tts.free();
  });

  test.each(['even', 'even-stream'])('%s: goes on without the last speech where positions are too few for it', async (name) => {
    const { textPerTurn, framesPerTurn } = goldenConfig(name);
    const { tts } = await open({ textPerTurn, framesPerTurn, maxPositions: 128 });
    const { utterances } = await tts.generate(TEXT.repeat(3), { seed: 4, guidanceScale: 1 });
    expect(utterances.map(({ text }) => text.replace(/\s/g, '')).join('')).toBe(TEXT.repeat(3).replace(/\s/g, ''));
    await tts.free();
  }); // prettier-ignore
});

test('as much of the last speech is gone on from as fits', () => {
  const carried = new CarriedVoice({ latentDim: 1, frameRate: 10, maxPositions: 100 });
  const seconds = (count: number) => new Float32Array(count * 10);
  carried.add({ text: 'One. ', latents: seconds(1) }, 5);
  carried.add({ text: 'Two. ', latents: seconds(2) }, 5);
  const frames = (most: number) => carried.promptThat(({ latents }) => latents.length <= most);
  expect(frames(30)).toEqual({ text: 'One. Two.', latents: seconds(3) });
  expect(frames(29)).toEqual({ text: 'Two.', latents: seconds(2) });
  expect(frames(19)).toBeUndefined();
});

test('a thousand words are all read by a voice of phonemes', () => readManyWords(1000));
