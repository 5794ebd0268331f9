import { isPhoneme, isVowel, splitPhonemes } from './alphabet.js';

const ARPABET: Readonly<Record<string, string>> = {
  AA: 'ɑ',
  AE: 'æ',
  AH: 'ʌ',
  AO: 'ɔ',
  AW: 'W',
  AY: 'I',
  EH: 'ɛ',
  EY: 'A',
  IH: 'ɪ',
  IY: 'i',
  OW: 'O',
  OY: 'Y',
  UH: 'ʊ',
  UW: 'u',
  B: 'b',
  CH: 'ʧ',
  D: 'd',
  DH: 'ð',
  F: 'f',
  G: 'ɡ',
  HH: 'h',
  JH: 'ʤ',
  K: 'k',
  L: 'l',
  M: 'm',
  N: 'n',
  NG: 'ŋ',
  P: 'p',
  R: 'ɹ',
  S: 's',
  SH: 'ʃ',
  T: 't',
  TH: 'θ',
  V: 'v',
  W: 'w',
  Y: 'j',
  Z: 'z',
  ZH: 'ʒ',
};
const STRESS_MARKS = ['', 'ˈ', 'ˌ'];

/** ARPABET with stress digits ("HH AH0 L OW1") as phoneme tokens; symbols that it does not know are left out. */
export function fromArpabet(pronunciation: string): string[] {
  return pronunciation.split(' ').flatMap((symbol) => {
    const name = symbol.replace(/\d$/, '');
    const stress = STRESS_MARKS[Number(/\d$/.exec(symbol)?.[0] ?? 0)] ?? '';
    if (name === 'ER') return stress === '' ? ['ə', 'ɹ'] : [`${stress}ɜ`, 'ɹ'];
    if (name === 'AH' && stress === '') return ['ə'];
    const letter = ARPABET[name];
    return letter === undefined ? [] : [stress + letter];
  });
}

/** IPA spellings that the alphabet writes in another way; longer ones first. */
const IPA_SPELLINGS: readonly (readonly [RegExp, string])[] = [
  [/[\s.ːˑ‿ʰ]|\p{Mn}/gu, ''], // lengths, ties and diacritics
  [/'/g, 'ˈ'],
  [/eɪ/g, 'A'],
  [/aɪ/g, 'I'],
  [/oʊ|əʊ/g, 'O'],
  [/aʊ/g, 'W'],
  [/ɔɪ/g, 'Y'],
  [/tʃ/g, 'ʧ'],
  [/dʒ/g, 'ʤ'],
  [/ɫ/g, 'l'],
  [/g/g, 'ɡ'],
  [/[rɻʁ]/g, 'ɹ'],
  [/ɾ/g, 'T'],
  [/e/g, 'ɛ'],
  [/a/g, 'æ'],
  [/o/g, 'O'],
  [/ɒ/g, 'ɑ'],
  [/[xχ]/g, 'k'],
  [/ʍ/g, 'w'],
  [/ç/g, 'h'],
  [/ʔ/g, 't'],
  [/ɨ/g, 'ᵻ'],
];

/**
 * IPA (stress at the start of a syllable or at its vowel) or Kokoro's spelling as tokens of the alphabet.
 * `rejected` receives every letter that has none.
 */
export function fromIpa(ipa: string, rejected: (letter: string) => void = () => undefined): string[] {
  let text = ipa.normalize('NFC');
  for (const [pattern, letter] of IPA_SPELLINGS) text = text.replace(pattern, letter);
  // A stress mark moves over its syllable's first consonants to the vowel.
  text = text.replace(/([ˈˌ])([^ˈˌAIOWYiuæɑɔɛɪʊʌɜəᵊᵻɐɝɚ]*)/gu, '$2$1');
  text = text.replace(/([ˈˌ])[ɝɚ]/g, '$1ɜɹ').replace(/[ɝɚ]/g, 'əɹ');
  text = text.replace(/([ˈˌ])[əᵊɐ]/g, '$1ʌ').replace(/([ˈˌ])ᵻ/g, '$1ɪ');
  return splitPhonemes(text).filter((token) => {
    if (isPhoneme(token)) return true;
    rejected(token);
    return false;
  });
}

/** Marks the first vowel as stressed when no vowel of a word is. */
export function withStress(tokens: readonly string[]): string[] {
  if (tokens.some((token) => token.startsWith('ˈ'))) return [...tokens];
  const first = tokens.findIndex((token) => token.startsWith('ˌ') || (isVowel(token) && !/[əᵊᵻɐ]/.test(token)));
  const at = first >= 0 ? first : tokens.findIndex(isVowel);
  if (at < 0) return [...tokens];
  const vowel = tokens[at].replace(/^ˌ/, '');
  const full = vowel === 'ə' && tokens[at + 1] === 'ɹ' ? 'ɜ' : vowel.replace(/[əᵊɐ]/, 'ʌ').replace('ᵻ', 'ɪ');
  return tokens.with(at, `ˈ${full}`);
}
