import { createRequire } from 'node:module';
import { dictionary } from 'cmu-pronouncing-dictionary';
import { describe, expect, it } from 'vitest';
import { FIRST_PHONEME_ID, PHONEME_VOCAB_SIZE, phonemeId, PHONEMES, phonemeTokens } from '../../../src/text/index.js';
import { isVowel, splitPhonemes } from '../../../src/text/alphabet.js';
import { wordPhonemes } from '../../../src/text/pronounce.js';
import { fromArpabet, fromIpa } from '../../../src/text/transcription.js';

const sound = (word: string): string => wordPhonemes(word).join('');

// The letters of Kokoro's alphabet that the teacher of the first voice reads.
const TEACHER_LETTERS =
  ';:,.!?—…"()“” ̃ʣʥʦʨᵝꭧAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ';

describe('the phoneme alphabet', () => {
  it('gives every phoneme one id after the four special ones', () => {
    expect(PHONEMES.map(phonemeId)).toEqual(PHONEMES.map((_, index) => index + FIRST_PHONEME_ID));
    expect(new Set(PHONEMES).size).toBe(PHONEMES.length);
    expect(PHONEME_VOCAB_SIZE).toBe(FIRST_PHONEME_ID + PHONEMES.length);
  });

  it('keeps the order that trained models depend on', () => {
    expect(PHONEMES.join('')).toBe(
      ' ,.!?;:—bdfhjklmnpstvwzŋɡɹʃʒʤʧθðTəᵊᵻɐɜAIOWYiuæɑɔɛɪʊʌˈAˈIˈOˈWˈYˈiˈuˈæˈɑˈɔˈɛˈɪˈʊˈʌˈɜˌAˌIˌOˌWˌYˌiˌuˌæˌɑˌɔˌɛˌɪˌʊˌʌˌɜ',
    );
  });

  it('is written with the teacher’s letters only', () => {
    for (const letter of PHONEMES.join('')) expect(TEACHER_LETTERS, letter).toContain(letter);
  });

  it('refuses what is not a phoneme', () => {
    expect(() => phonemeId('q')).toThrow(new RangeError('phonemeId: "q" is not one of the 82 phonemes'));
  });
});

describe('the sound of words', () => {
  it.each([
    ['doctor', 'dˈɑktəɹ'],
    ['father', 'fˈɑðəɹ'],
    ['bird', 'bˈɜɹd'],
    ['butter', 'bˈʌTəɹ'],
    ['apple', 'ˈæpᵊl'],
    ['wanted', 'wˈɔntᵻd'],
    ['houses', 'hˈWsᵻz'],
    ['unlikely', 'ˌʌnlˈIkli'],
    ['judge', 'ʤˈʌʤ'],
    ['church', 'ʧˈɜɹʧ'],
    ['boy', 'bˈY'],
    ['record', 'ɹˈɛkəɹd'],
    ['recorded', 'ɹəkˈɔɹdᵻd'],
    ['separate', 'sˈɛpəɹət'],
    ['separating', 'sˈɛpəɹˌATɪŋ'],
    ['noted', 'nˈOTᵻd'],
    ['shed', 'ʃˈɛd'],
    ['undischarged', 'ˌʌndɪsʧˈɑɹʤd'],
    ['repast', 'ɹəpˈæst'],
    ['the', 'ðə'],
    ['of', 'ʌv'],
    ['was', 'wʌz'],
    ['a', 'ɐ'],
    ['I', 'ˌI'],
  ])('says %s as %s', (word, expected) => {
    expect(sound(word)).toBe(expected);
  });

  it.each([
    ["didn't", 'dˈɪdᵊnt'],
    ["don't", 'dˈOnt'],
    ["I'll", 'ˌIl'],
    ["it's", 'ˌɪts'],
    ["dog's", 'dˈɔɡz'],
    ["cat's", 'kˈæts'],
    ["Collins's", 'kˈɑlɪnzᵻz'],
    ["dogs'", 'dˈɔɡz'],
    ["should've", 'ʃˈʊdəv'],
    ["runnin'", 'ɹˈʌnɪn'],
    ["zorkblat's", `${sound('zorkblat')}s`],
  ])('says the contraction or possessive %s as %s', (word, expected) => {
    expect(sound(word)).toBe(expected);
  });

  it.each([
    ['paleness', 'pˈAlnəs'],
    ['socialise', sound('socialize')],
    ['modelling', sound('modeling')],
    ['groundfloor', 'ɡɹˈWndflˌɔɹ'],
    ['zibbing', null],
  ])('builds %s from words that it knows, or guesses', (word, expected) => {
    if (expected !== null) expect(sound(word)).toBe(expected);
    expect(wordPhonemes(word).filter(isVowel).length).toBeGreaterThan(0);
  });

  it('writes every word of the dictionary with phonemes of the alphabet, its content words with a stress', () => {
    const words = Object.keys(dictionary).filter((word, index) => index % 40 === 0 && /^[a-z']+$/.test(word));
    expect(words.length).toBeGreaterThan(2500);
    for (const word of words)
      for (const token of wordPhonemes(word)) expect(() => phonemeId(token), word).not.toThrow();
    const stressed = words.filter((word) => sound(word).includes('ˈ'));
    expect(stressed.length / words.length).toBeGreaterThan(0.98);
  });

  it('guesses words that no dictionary has with a vowel and a stress', () => {
    for (const word of ['zorkblat', 'frindlewick', 'xylotrap', 'quibberish', 'mxyzptlk']) {
      expect(
        wordPhonemes(word).every((token) => PHONEMES.includes(token)),
        word,
      ).toBe(true);
    }
    expect(sound('frindlewick')).toMatch(/ˈ/);
  });

  it('does not depend on case or on what was said before', () => {
    const once = sound('zorkblats');
    sound('zorkblat');
    expect(sound('ZorkBlats')).toBe(once);
  });

  it('agrees with the library’s own letter rules where it uses them', () => {
    const { EnglishG2P } = createRequire(import.meta.url)('phonemize/en-g2p') as {
      EnglishG2P: new () => { predict(word: string): string };
    };
    const bare = (tokens: string[]): string => tokens.join('').replace(/[ˈˌ]/g, '');
    expect(bare([...wordPhonemes('frindlewick')])).toBe(bare(fromIpa(new EnglishG2P().predict('frindlewick'))));
  });
});

describe('plain text as phonemes', () => {
  it('separates words by one space and puts none before punctuation', () => {
    expect(phonemeTokens('To be,  or not to be?').join('')).toBe('tə bi, ɔɹ nˌɑt tə bi?');
    expect(phonemeTokens('')).toEqual([]);
    expect(phonemeTokens('plain text').join('')).toBe('plˈAn tˈɛkst');
  });
});

describe('transcriptions', () => {
  it('fuses the stress of ARPABET with its vowel', () => {
    expect(fromArpabet('HH AH0 L OW1')).toEqual(['h', 'ə', 'l', 'ˈO']);
    expect(fromArpabet('W ER1 K ER0')).toEqual(['w', 'ˈɜ', 'ɹ', 'k', 'ə', 'ɹ']);
  });

  it('moves the stress of IPA from the syllable to its vowel', () => {
    expect(fromIpa('ˌstɹɛŋkˈθʌn')).toEqual(['s', 't', 'ɹ', 'ˌɛ', 'ŋ', 'k', 'θ', 'ˈʌ', 'n']);
    expect(fromIpa('ˈdʒɝni')).toEqual(['ʤ', 'ˈɜ', 'ɹ', 'n', 'i']);
    expect(fromIpa('həˈɫoʊ')).toEqual(['h', 'ə', 'l', 'ˈO']);
    expect(fromIpa('t͡ʃaɪ')).toEqual(['ʧ', 'I']);
  });

  it('tells what it cannot write', () => {
    const rejected: string[] = [];
    expect(fromIpa('ʘa', (letter) => rejected.push(letter))).toEqual(['æ']);
    expect(rejected).toEqual(['ʘ']);
  });

  it('splits fused tokens', () => {
    expect(splitPhonemes('ˈæpᵊl')).toEqual(['ˈæ', 'p', 'ᵊ', 'l']);
  });
});
