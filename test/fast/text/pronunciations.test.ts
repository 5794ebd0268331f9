import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EnglishPhonemes, loadPronunciations, parsePronunciation } from '../../../src/text/index.js';

const directory = mkdtempSync(join(tmpdir(), 'pronunciations-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe('a user’s pronunciations', () => {
  it('are said instead of the dictionary’s, in any case', () => {
    const english = new EnglishPhonemes({
      pronunciations: { tomato: 'təˈmɑːtoʊ', SQL: 'sequel', nginx: '/ˈɛndʒɪnɛks/' },
    });
    expect(english.tokens('Tomato').join('')).toBe('təmˈɑtO');
    expect(english.tokens('SQL').join('')).toBe(english.tokens('sequel').join(''));
    expect(english.tokens('nginx!').join('')).toBe('ˈɛnʤɪnɛks!');
  });

  it('may be IPA, the alphabet of the front end or a respelling', () => {
    expect(parsePronunciation('x', 'ˈkæfeɪ')).toEqual(['k', 'ˈæ', 'f', 'A']);
    expect(parsePronunciation('x', 'kˈæfA')).toEqual(['k', 'ˈæ', 'f', 'A']);
    expect(parsePronunciation('x', 'engine ex').join('')).toBe('ˈɛnʤənˈɛks');
    expect(parsePronunciation('x', '/kat/')).toEqual(['k', 'æ', 't']);
  });

  it('are refused with the word and the letter that cannot be said', () => {
    expect(() => new EnglishPhonemes({ pronunciations: { foo: 'fʘː' } })).toThrow(
      /pronunciation of "foo": "ʘ" in "fʘː" is not a sound/,
    );
    expect(() => new EnglishPhonemes({ pronunciations: { 'two words': 'tu' } })).toThrow(
      /"two words": expected one word/,
    );
    expect(() => parsePronunciation('x', 'ː')).toThrow(/has no sound in it/);
  });

  it('load from lines and from JSON', () => {
    const expected = { SQL: 'sequel', nginx: 'ˈɛndʒɪnɛks' };
    expect(loadPronunciations(file('a.txt', '# own words\nSQL\tsequel\n\nnginx => ˈɛndʒɪnɛks\r\n'))).toEqual(expected);
    expect(loadPronunciations(file('a.json', JSON.stringify(expected)))).toEqual(expected);
  });

  it('name the file and line that cannot be read', () => {
    expect(() => loadPronunciations(file('b.txt', 'SQL\tsequel\noops\n'))).toThrow(
      /b\.txt:2: expected word<TAB>sound or word => sound, got "oops"/,
    );
    expect(() => loadPronunciations(file('b.json', '{"a": 5}'))).toThrow(/b\.json: expected a string for "a", got 5/);
    expect(() => loadPronunciations(file('c.json', '{"a": '))).toThrow(/c\.json: expected JSON/);
    expect(() => loadPronunciations(file('d.txt', 'foo\tʘ\n'))).toThrow(/d\.txt: pronunciation of "foo"/);
    expect(() => loadPronunciations(join(directory, 'none.txt'))).toThrow(/none\.txt/);
  });
});
