import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WordAligner, type AlignedWord } from '../../../src/generate/word-aligner.js';
import { SledTts, type SpeakOptions, type SpokenWord } from '../../../src/index.js';
import type { TextSpan } from '../../../src/text/front-end.js';
import { goldenConfig } from './golden-cases.js';
import { toyVoice } from './toy-voice.js';

const HEADS = [[0, 1]] as const;
const TEXT = 'hi ðɛɹ, mi nAm iz tI. [pause:0.5] hW [pause:x]ɑɹ ju?';

let tts: SledTts;
beforeAll(async () => {
  tts = new SledTts(await toyVoice({ alignmentHeads: HEADS }));
});
afterAll(() => tts.free());

async function* pieces(text: string, size: number) {
  for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size);
}

async function streamed(text: AsyncIterable<string>, options: SpeakOptions) {
  const words: SpokenWord[] = [];
  const samples: number[] = [];
  for await (const chunk of tts.stream(text, { ...options, onWord: (word) => words.push(word) }))
    samples.push(...chunk);
  return { words, samples };
}

describe('the words of a text', () => {
  test('are timed in order, inside of their utterance, and stand in the text where they say', async () => {
    const { words, utterances, samples } = await tts.generate(TEXT, { words: true, seed: 4 });
    expect(words.length).toBeGreaterThan(4);
    words.forEach(({ word, textStart, textEnd, startSeconds, endSeconds, source }, i) => {
      expect(word).toBe(TEXT.slice(textStart, textEnd));
      expect(word).toMatch(/^[^ [\]]+$/);
      expect(source).toBe('attention');
      expect(startSeconds).toBeGreaterThanOrEqual(i === 0 ? 0 : words[i - 1].endSeconds);
      expect(endSeconds).toBeGreaterThanOrEqual(startSeconds);
      const part = utterances[textStart < TEXT.indexOf('[') ? 0 : 1];
      expect(startSeconds).toBeGreaterThanOrEqual(part.startSeconds);
      expect(endSeconds).toBeLessThanOrEqual(part.endSeconds);
    });
    expect(words.at(-1)?.endSeconds).toBeLessThanOrEqual(samples.length / tts.sampleRate);
    expect(words.find(({ word }) => word === 'ju?')).toBeDefined();
  });

  test.each([1, 2, 7])('are the same while the text is being written, in pieces of %i', async (size) => {
    const { words, samples } = await tts.generate(TEXT, { words: true, seed: 4 });
    expect(await streamed(pieces(TEXT, size), { seed: 4 })).toEqual({ words, samples: [...samples] });
  });

  test('change no sample', async () => {
    const [without, asked] = [
      await tts.generate(TEXT, { seed: 2 }),
      await tts.generate(TEXT, { seed: 2, words: true }),
    ];
    expect(asked.samples).toEqual(without.samples);
    expect(without.words).toEqual([]);
  });

  test('move with the rate, and pauses do not', async () => {
    const [usual, fast] = [1, 1.25].map((rate) => tts.generate(TEXT, { words: true, seed: 4, rate }));
    const [before, after] = [(await usual).words, (await fast).words];
    const split = TEXT.indexOf('[');
    after.forEach(({ startSeconds, textStart }, i) => {
      const paused = textStart < split ? 0 : 0.5;
      expect(startSeconds - paused).toBeCloseTo((before[i].startSeconds - paused) / 1.25, 9);
    });
  });

  test('come before the text is whole', async () => {
    const told: string[] = [];
    let early = 0;
    async function* text() {
      yield 'hi ðɛɹ, mi nAm iz tI. hW ɑɹ ju? ';
      while (told.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
      early = told.length;
      yield 'ʌ lɔŋ wWk.';
    }
    for await (const _ of tts.stream(text(), { onWord: ({ word }) => told.push(word) }));
    expect(early).toBeGreaterThanOrEqual(3);
  });
});

describe('a model without alignment heads', () => {
  test('spreads its words over the frames by plan, and says so', async () => {
    const plain = new SledTts(await toyVoice());
    const { words, utterances } = await plain.generate('hi ðɛɹ mi.', { words: true, maxFrames: 30 });
    await plain.free();
    expect(words.map(({ word, source }) => [word, source])).toEqual([['hi', 'plan'], ['ðɛɹ', 'plan'], ['mi.', 'plan']]); // prettier-ignore
    expect(words[0].startSeconds).toBe(0);
    expect(words.at(-1)?.endSeconds).toBeCloseTo(utterances[0].endSeconds, 9);
    for (let i = 1; i < 3; i++) expect(words[i].startSeconds).toBeGreaterThanOrEqual(words[i - 1].endSeconds);
  });

  test('times no word before the turn that reads it, nor one that is cut off', () => {
    const config = { ...goldenConfig('even-stream'), textPerTurn: 3, framesPerTurn: 20 };
    // ids: <s> a a | b b b | c </s>
    const words = ['a', 'a', 'b', 'b', 'b', 'c'].map((name) => ({ a: [0, 2], b: [3, 4], c: [5, 6] })[name]);
    const wordOf = (index: number): TextSpan | undefined => words[index - 1] && { start: words[index - 1]![0], end: words[index - 1]![1] }; // prettier-ignore
    const utterance = { certain: 1, text: '', wordOf, read: () => Promise.reject(new Error('unread')) };
    const plan = (frames: number, expected: number) => {
      const told: AlignedWord[] = [];
      const length = { tokens: 8, frames, expected, given: 0, continued: false };
      new WordAligner(utterance, config, (word) => told.push(word)).end(length);
      return told.map(({ start, end }) => [start, end]);
    };
    expect(plan(60, 60)).toEqual([[0, 20], [30, 40], [50, 60]]); // prettier-ignore
    expect(plan(25, 60)).toEqual([[0, 20]]);
    expect(plan(40, 40).flat().map(Math.round)).toEqual([0, 13, 20, 27]); // prettier-ignore
  });
});
