import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EnglishPhonemes, type TextFrontEnd } from '../../../src/text/index.js';
import { cutRandomly, randomNumbers } from './cuts.js';

// input TAB spoken form; \n in an input is a line break.
const rows = readFileSync(join(import.meta.dirname, 'spoken-forms.tsv'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.split('\t'))
  .map(([typed, spoken]) => ({ typed: typed.replaceAll('\\n', '\n'), spoken }));

const english = new EnglishPhonemes();

function streamed(frontEnd: TextFrontEnd, parts: readonly string[]): number[] {
  const stream = frontEnd.createStream();
  return [...parts.flatMap((part) => stream.push(part)), ...stream.end()];
}

describe('the table of spoken forms', () => {
  it('has at least 200 rows', () => {
    expect(rows.length).toBeGreaterThanOrEqual(200);
  });

  it.each(rows)('says "$typed" as "$spoken"', ({ typed, spoken }) => {
    expect(english.spokenForm(typed)).toBe(spoken);
  });

  it('gives the same tokens at once, one character at a time and in any parts', () => {
    const random = randomNumbers(1);
    for (const { typed } of rows) {
      const whole = english.encode(typed);
      expect(streamed(english, [...typed]), typed).toEqual(whole);
      expect(streamed(english, typed.split('')), typed).toEqual(whole);
      for (let trial = 0; trial < 4; trial++)
        expect(streamed(english, cutRandomly(typed, random)), typed).toEqual(whole);
    }
  });

  it('sounds as its spoken form does when that is typed', () => {
    // Letters that are named and words with a listed sound are written in another way than they are typed.
    const plain = rows.filter(({ spoken }) => !/\b[A-Z]\b|CDs|FBI's|PhD|\bre\b|well known|mac|My S/.test(spoken));
    expect(plain.length).toBeGreaterThan(120);
    for (const { typed, spoken } of plain)
      expect(english.tokens(typed).join(''), typed).toBe(english.tokens(spoken).join(''));
  });
});
