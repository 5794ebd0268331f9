import { describe, expect, it } from 'vitest';
import { splitSentences } from '../../../src/text/index.js';

describe('splitting into sentences', () => {
  it.each([
    ['Dr. Smith met J. R. Jones. He left!', ['Dr. Smith met J. R. Jones. ', 'He left!']],
    ['See No. 5 for more. No. I will not.', ['See No. 5 for more. ', 'No. ', 'I will not.']],
    ['I paid 3.50 dollars. What? Yes.', ['I paid 3.50 dollars. ', 'What? ', 'Yes.']],
    ['"Really?" he asked. She nodded.', ['"Really?" he asked. ', 'She nodded.']],
    ['It was 5 p.m. on Monday. Mrs. Lee left.', ['It was 5 p.m. on Monday. ', 'Mrs. Lee left.']],
    ['Apples, e.g. red ones, are good.', ['Apples, e.g. red ones, are good.']],
    ['A line that\ngoes on. Next.', ['A line that\ngoes on. ', 'Next.']],
    ['Title\n\nFirst. Second.', ['Title\n\n', 'First. ', 'Second.']],
    ['', []],
  ])('splits %j', (text, sentences) => {
    expect(splitSentences(text)).toEqual(sentences);
  });

  it('loses nothing', () => {
    const text = 'One. Two!\n\n\nThree? \n Four… "Five." (Six.) Mr. Seven\r\n\r\neight.';
    expect(splitSentences(text).join('')).toBe(text);
  });
});
