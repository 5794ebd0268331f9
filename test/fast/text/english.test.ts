import { describe, expect, it, vi } from 'vitest';
import { EnglishPhonemes, PHONEMES } from '../../../src/text/index.js';
import { cutRandomly, randomNumbers, randomText } from './cuts.js';

const english = new EnglishPhonemes();
const TYPED =
  "Dr.|St.|No.|Mon.|etc.|e.g.|U.S.|p.m.|5|12|1999|3,000|2.5|1/2|10:30|2024-03-15|555-1234|$|€|%|°|C|km|kg|/|h|-|–|—|+|=|#|@|&|*|(|)|\"|'|'s|'t|.|,|!|?|;|:|...|…|NASA|FBI|US|IT|Henry|VIII|Chapter|IV|March|May|am|a|the|dog|dogs'|naïve|e\u0301|é|½|²|😀|你|\u200b|\t|\n|\n\n| | | | |bob@x.com|www.a.org|#tag|@me|file.txt|re-do|well-known|JavaScript|sooo|<b>|&amp;|\ud83d".split(
    '|',
  );

describe('English phonemes as a front end', () => {
  it('opens with <s>, closes with </s> and has nothing between for an empty text', () => {
    expect(english.encode('')).toEqual([0, 2]);
    expect(english.encode(' \n ')).toEqual([0, 2]);
    const stream = english.createStream();
    expect(stream.push('')).toEqual([0]);
    expect(stream.end()).toEqual([2]);
    expect(english.createStream().end()).toEqual([0, 2]);
  });

  it('gives ids of its vocabulary', () => {
    for (const id of english.encode('Hello, world! It costs $5 — really?')) expect(id).toBeLessThan(english.vocabSize);
    expect(english.vocabSize).toBe(4 + PHONEMES.length);
  });

  it('gives the same ids however a text is cut, over thousands of random texts and cuts', () => {
    const random = randomNumbers(3);
    for (let trial = 0; trial < 1500; trial++) {
      const text = randomText(TYPED, random, 14);
      const stream = english.createStream();
      const ids = [...cutRandomly(text, random).flatMap((part) => stream.push(part)), ...stream.end()];
      expect(ids, JSON.stringify(text)).toEqual(english.encode(text));
    }
  });

  it('says a word as soon as white space follows it', () => {
    const stream = english.createStream();
    stream.push('hel');
    expect(stream.push('lo')).toEqual([]);
    expect(stream.push(' ').length).toBe(4);
    expect(stream.push('every, ').length).toBeGreaterThan(4);
  });

  it('waits for at most a few words where the reading depends on them', () => {
    const random = randomNumbers(5);
    const words = TYPED.filter((part) => part.trim() !== '');
    for (let trial = 0; trial < 300; trial++) {
      const stream = english.createStream();
      let waiting = 0;
      for (let count = 0; count < 30; count++) {
        const ids = stream.push(`${words[Math.floor(random() * words.length)]} dog `);
        waiting = ids.length > 0 ? 0 : waiting + 1;
        expect(waiting).toBeLessThan(8);
      }
    }
  });

  it('never gives up on odd text', () => {
    const odd = [
      '\u0000\u0007\u001b[31m',
      '\ud800',
      'a\u0301\u0302\u0303'.repeat(50),
      '你好'.repeat(200),
      '1'.repeat(2000),
      '0/0 -/- 1/0 0th .. ,, $$ %% °°',
      '('.repeat(500),
      "'''''",
      '<<<>>>',
      '😀'.repeat(300),
      'z'.repeat(1000),
      '-1-2-3-4-5-6-7-8-9'.repeat(40),
      '....5....',
      'I.V.I.I. XIIX MMXIV',
    ];
    for (const text of odd) expect(() => english.encode(text), JSON.stringify(text.slice(0, 20))).not.toThrow();
  });

  it('reads a text without spaces before its end', () => {
    const stream = english.createStream();
    let before = 0;
    for (let part = 0; part < 200; part++) before += stream.push('abcdefgh'.repeat(16)).length;
    expect(before).toBeGreaterThan(stream.end().length * 20);
  });

  it('warns once a text about a character that has no sound, and says the rest', () => {
    const onWarning = vi.fn();
    const warning = new EnglishPhonemes({ onWarning });
    expect(warning.spokenForm('你好 hello 世界')).toBe('hello');
    expect(onWarning).toHaveBeenCalledTimes(1);
    expect(onWarning).toHaveBeenCalledWith(
      'left out "你" (U+4F60): it has no English sound; further ones of this text are left out silently',
    );
    onWarning.mockClear();
    warning.encode('plain text 🎉');
    expect(onWarning).not.toHaveBeenCalled();
  });

  it('says only stops that the first voice has learned', () => {
    expect(english.tokens('one; two: three — four (five) six… seven').filter((token) => /[;:—]/.test(token))).toEqual(
      [],
    );
  });
});
