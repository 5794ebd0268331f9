import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BytePairs, EnglishPhonemes, PHONEMES, FIRST_PHONEME_ID, type TextFrontEnd } from '../../../src/text/index.js';
import { cutRandomly, randomNumbers } from './cuts.js';

const english = new EnglishPhonemes({ onWarning: () => undefined });
const bpe = BytePairs.load(join(import.meta.dirname, '../../golden/bpe'));
const TEXT =
  'Dr. Hale (a well-known man) paid $5 million, or 1,200 €, on 5 March 2024 – “in cash”!\n\n— He’s 🙂 “naïve” 火,  no? See www.a.com/b.';

/** The written word of each id, in order and each once, with what is read for it. */
function wordsOf(frontEnd: TextFrontEnd, text: string, parts: readonly string[]) {
  const stream = frontEnd.createStream();
  const [ids, words]: [number[], (typeof stream.words)[number][]] = [[], []];
  const take = (more: number[]) => {
    expect(stream.words).toHaveLength(more.length);
    ids.push(...more);
    words.push(...stream.words);
  };
  for (const part of parts) take(stream.push(part));
  take(stream.end());
  const read: { word: string; ids: number[] }[] = [];
  words.forEach((word, i) => {
    if (!word) return;
    if (i > 0 && words.slice(0, i).includes(word)) read.at(-1)?.ids.push(ids[i]);
    else read.push({ word: text.slice(word.start, word.end), ids: [ids[i]] });
  });
  return read;
}

const sound = (ids: number[]) => ids.map((id) => PHONEMES[id - FIRST_PHONEME_ID]).join('');

describe('the written word of each phoneme', () => {
  it('is what stands between white space, several where they are read as one', () => {
    expect(wordsOf(english, TEXT, [TEXT]).map(({ word }) => word)).toEqual([
      ...['Dr.', 'Hale', '(a', 'well-known', 'man)', 'paid', '$5 million,', 'or', '1,200 €,', 'on', '5 March 2024'],
      ...['“in', 'cash”!', 'He’s', '“naïve”', 'no?', 'See', 'www.a.com/b.'],
    ]);
  });

  it('has all that is said for it and nothing else', () => {
    const read = new Map(wordsOf(english, TEXT, [TEXT]).map(({ word, ids }) => [word, sound(ids)]));
    const said = (word: string) => english.tokens(word).join('').replaceAll(/[ ,.!?]/g, ''); // prettier-ignore
    expect(read.get('5 March 2024')).toBe(said('5 March 2024'));
    expect(read.get('well-known')).toBe(said('well-known'));
    expect(read.get('Hale')).toBe(said('Hale'));
    expect(read.get('www.a.com/b.')).toBe(said('www.a.com/b'));
  });
});

describe('the written word of each byte-level token', () => {
  it('is what stands between white space, of tokens that together are it', () => {
    const read = wordsOf(bpe, TEXT, [TEXT]);
    expect(read.map(({ word }) => word)).toEqual(TEXT.split(/\s+/));
    for (const { word, ids } of read.slice(1, 6)) expect(ids).toEqual(bpe.encode(` ${word}`).slice(1, -1));
  });

  it('is none for a special token, which ends the word before it', () => {
    expect(wordsOf(bpe, 'one<pad>two', ['one<pad>two']).map(({ word }) => word)).toEqual(['one', 'two']);
  });
});

it.each([
  ['phonemes', english],
  ['byte-level tokens', bpe],
])('%s: is the same however the text is cut', (_name, frontEnd) => {
  const random = randomNumbers(5);
  const whole = wordsOf(frontEnd, TEXT, [TEXT]);
  for (let trial = 0; trial < 100; trial++) expect(wordsOf(frontEnd, TEXT, cutRandomly(TEXT, random))).toEqual(whole);
  expect(wordsOf(frontEnd, TEXT, [...TEXT])).toEqual(whole);
});
