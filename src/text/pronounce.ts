import { createRequire } from 'node:module';
import { dictionary } from 'cmu-pronouncing-dictionary';
import { isVowel, splitPhonemes } from './alphabet.js';
import { CORRECTIONS } from './corrections.js';
import { asSpoken, withEd, withIng, withS } from './sound-rules.js';
import { fromArpabet, fromIpa, withStress } from './transcription.js';

interface LetterToSound {
  predict(word: string): string | null;
}

let letterToSound: LetterToSound | undefined;

/** phonemize's letter-to-sound rules, loaded with the first word that the dictionary lacks. */
function predictIpa(word: string): string {
  if (letterToSound === undefined) {
    // The package's ES module build fails on Node 20 (JSON import without attribute), its CommonJS build works.
    const { EnglishG2P } = createRequire(import.meta.url)('phonemize/en-g2p') as {
      EnglishG2P: new () => LetterToSound;
    };
    letterToSound = new EnglishG2P();
  }
  return letterToSound.predict(word) ?? '';
}

const corrections = new Map(
  CORRECTIONS.split(/[;\n]+\s*/)
    .filter((entry) => entry !== '')
    .map((entry) => entry.split(' ') as [string, string]),
);

function corrected(word: string): string[] | undefined {
  const sound = corrections.get(word);
  return sound === undefined ? undefined : splitPhonemes(sound);
}

function known(word: string): string[] | undefined {
  if (corrections.has(word)) return corrected(word);
  if (!Object.hasOwn(dictionary, word)) return undefined;
  return asSpoken(fromArpabet(dictionary[word]), word);
}

/** True for a word of the dictionary, its contractions and inflections not included. */
export function knownWord(word: string): boolean {
  return corrections.has(word) || Object.hasOwn(dictionary, word);
}

const CONTRACTIONS: readonly (readonly [string, readonly string[]])[] = [
  ["'ll", ['ᵊ', 'l']],
  ["'ve", ['v']],
  ["'re", ['ə', 'ɹ']],
  ["'d", ['d']],
  ["'m", ['m']],
];

/** "-'s", "n't", "'ll" and their like on a known or guessed stem. */
function contracted(word: string): readonly string[] | undefined {
  if (word.endsWith("'s")) return withS(wordPhonemes(word.slice(0, -2)));
  if (word.endsWith("n't")) {
    const stem = wordPhonemes(word.slice(0, -3));
    return [...stem, ...(isVowel(stem[stem.length - 1]) ? [] : ['ᵊ']), 'n', 't'];
  }
  for (const [ending, sound] of CONTRACTIONS) {
    if (word.length > ending.length && word.endsWith(ending))
      return [...wordPhonemes(word.slice(0, -ending.length)), ...sound];
  }
  return undefined;
}

/** A plural, past or participle of a stem that `lookUp` finds. */
function inflected(word: string, lookUp: (stem: string) => string[] | undefined): string[] | undefined {
  const attempt = (stems: readonly string[], inflect: (stem: readonly string[]) => string[]): string[] | undefined => {
    for (const stem of stems) {
      const sound = stem.length > 2 ? lookUp(stem) : undefined;
      if (sound !== undefined) return inflect(sound);
      if (knownWord(stem)) return undefined; // "noted" is of "note", whatever "not" sounds like
    }
    return undefined;
  };
  const cut = (n: number): string => word.slice(0, -n);
  const undoubled = (stem: string): string[] => (/([bdfgklmnprstvz])\1$/.test(stem) ? [stem.slice(0, -1)] : []);
  if (/[^s]s$/.test(word)) {
    return attempt(
      [cut(1), ...(word.endsWith('ies') ? [`${cut(3)}y`] : []), ...(word.endsWith('es') ? [cut(2)] : [])],
      withS,
    );
  }
  if (word.endsWith('ed')) {
    const fromY = word.endsWith('ied') ? [`${cut(3)}y`] : [];
    return attempt([cut(1), cut(2), ...undoubled(cut(2)), ...fromY], withEd);
  }
  if (word.endsWith('ing')) return attempt([cut(3), `${cut(3)}e`, ...undoubled(cut(3))], withIng);
  return undefined;
}

// One text has some thousands of distinct words; the bound keeps a long-running server's memory flat.
const CACHE_LIMIT = 20_000;
const cache = new Map<string, readonly string[]>();

const SUFFIXES: readonly (readonly [string, readonly string[]])[] = [
  ['fulness', ['f', 'ᵊ', 'l', 'n', 'ə', 's']],
  ['fully', ['f', 'ə', 'l', 'i']],
  ['lessly', ['l', 'ə', 's', 'l', 'i']],
  ['ness', ['n', 'ə', 's']],
  ['less', ['l', 'ə', 's']],
  ['ment', ['m', 'ᵊ', 'n', 't']],
  ['like', ['l', 'ˌI', 'k']],
  ['ful', ['f', 'ᵊ', 'l']],
  ['man', ['m', 'ə', 'n']],
  ['men', ['m', 'ɪ', 'n']],
  ['ly', ['l', 'i']],
  ['er', ['ə', 'ɹ']],
];

/** A known word with a suffix that leaves its sound as it is: "paleness, shrilly, maintainer". */
function derived(word: string): string[] | undefined {
  for (const [suffix, sound] of SUFFIXES) {
    if (!word.endsWith(suffix)) continue;
    const stem = word.slice(0, -suffix.length);
    const tokens = stem.length > 2 ? (known(stem) ?? inflected(stem, known)) : undefined;
    if (tokens)
      return tokens[tokens.length - 1] === 'l' && sound[0] === 'l'
        ? [...tokens, ...sound.slice(1)]
        : [...tokens, ...sound];
  }
  return undefined;
}

const PREFIXES: readonly (readonly [string, readonly string[]])[] = [
  ['over', ['ˌO', 'v', 'ə', 'ɹ']],
  ['under', ['ˌʌ', 'n', 'd', 'ə', 'ɹ']],
  ['non', ['n', 'ˌɑ', 'n']],
  ['mis', ['m', 'ˌɪ', 's']],
  ['un', ['ˌʌ', 'n']],
  ['re', ['ɹ', 'ˌi']],
];

/** A known word behind a prefix that leaves its sound as it is: "undischarged, rewritten". */
function prefixed(word: string): string[] | undefined {
  for (const [prefix, sound] of PREFIXES) {
    const stem = word.slice(prefix.length);
    if (!word.startsWith(prefix) || stem.length < (prefix === 're' ? 6 : 4)) continue; // "repast" is not of "past"
    const tokens = known(stem) ?? inflected(stem, known) ?? derived(stem);
    if (tokens) return [...sound, ...tokens];
  }
  return undefined;
}

/** A word made of two known ones (of four and five letters or more): the first keeps its stress, the second's is weakened. */
function compound(word: string): string[] | undefined {
  for (let cut = 4; cut <= word.length - 5; cut++) {
    const first = known(word.slice(0, cut));
    const tail = word.slice(cut);
    const second = first && (known(tail) ?? inflected(tail, known));
    if (first && second) return [...first, ...second.map((token) => token.replace('ˈ', 'ˌ'))];
  }
  return undefined;
}

const BRITISH: readonly (readonly [RegExp, string])[] = [
  [/is(e|ed|es|er|ers|ing|ation|ations)$/, 'iz$1'],
  [/ys(e|ed|es|er|ers|ing)$/, 'yz$1'],
  [/(?<=[aeiou][a-z]*)our(s|ed|ing|ful|less|able|ite|ites)?$/, 'or$1'],
  [/([aeiou])ll(ed|er|ers|ing|or|ors)$/, '$1l$2'],
  [/aemia$/, 'emia'],
];

/** A British spelling by its American one: "socialise, colourful, modelling". */
function american(word: string): string[] | undefined {
  for (const [ending, replacement] of BRITISH) {
    const respelled = word.replace(ending, replacement);
    if (respelled !== word && word.length > 4) {
      const sound = known(respelled) ?? inflected(respelled, known);
      if (sound) return sound;
    }
  }
  return undefined;
}

/** A word without the apostrophes around it: "'tis" and "em" are words, "'hello'" is quoted. */
function unquoted(word: string): readonly string[] | undefined {
  if (word.endsWith("in'") && word.length > 4) {
    const participle = wordPhonemes(`${word.slice(0, -1)}g`);
    if (participle[participle.length - 1] === 'ŋ') return [...participle.slice(0, -1), 'n'];
  }
  const bare = word.replace(/^'+|'+$/g, '');
  return bare === word || bare === '' ? undefined : wordPhonemes(bare);
}

/**
 * The phoneme tokens of one English word of letters and apostrophes, without its context: corrections, then the CMU
 * dictionary, then inflections of known words, then phonemize's rules.
 */
export function wordPhonemes(word: string): readonly string[] {
  const lower = word.toLowerCase();
  const cached = cache.get(lower);
  if (cached !== undefined) return cached;
  const tokens =
    corrected(lower) ??
    listedOrCorrected(lower) ??
    unquoted(lower) ??
    contracted(lower) ??
    american(lower) ??
    inflected(lower, known) ??
    derived(lower) ??
    prefixed(lower) ??
    compound(lower) ??
    guessed(lower);
  if (cache.size >= CACHE_LIMIT) cache.clear();
  cache.set(lower, tokens);
  return tokens;
}

/**
 * The dictionary's sound, or an inflection of a corrected stem where both stress the same syllables: "disguised" follows
 * "disguise", but "recorded" and "separating" are verbs, and the corrections of "record" and "separate" are not.
 */
function listedOrCorrected(word: string): string[] | undefined {
  const listed = known(word);
  const fromStem = inflected(word, corrected);
  if (listed === undefined || fromStem === undefined) return listed ?? fromStem;
  return stresses(listed) === stresses(fromStem) ? fromStem : listed;
}

/** Marks of a word's syllables in order. */
const stresses = (tokens: readonly string[]): string =>
  tokens
    .filter(isVowel)
    .map((token) => /^[ˈˌ]/.exec(token)?.[0] ?? '.')
    .join('');

function guessed(word: string): string[] {
  const bare = word.replaceAll("'", '');
  return bare === '' ? [] : asSpoken(withStress(fromIpa(predictIpa(bare))), bare);
}
