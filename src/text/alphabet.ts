/**
 * The phoneme alphabet: Kokoro's letters for American English (A I O W Y are the diphthongs of
 * "day, eye, oh, how, boy"; ᵊ a vanishing schwa, ᵻ the vowel of "-ed", ɐ the article "a", T a flapped t, ɜ before ɹ as in "bird"),
 * with a vowel and its stress mark fused into one token.
 */
const FULL_VOWELS = ['A', 'I', 'O', 'W', 'Y', 'i', 'u', 'æ', 'ɑ', 'ɔ', 'ɛ', 'ɪ', 'ʊ', 'ʌ'];
const REDUCED_VOWELS = ['ə', 'ᵊ', 'ᵻ', 'ɐ', 'ɜ'];
const CONSONANTS = 'b d f h j k l m n p s t v w z ŋ ɡ ɹ ʃ ʒ ʤ ʧ θ ð T'.split(' ');
const PUNCTUATION = [',', '.', '!', '?', ';', ':', '—'];

/** Every token in the order of its id; the first one's id is `FIRST_PHONEME_ID`. The order is fixed: models depend on it. */
export const PHONEMES: readonly string[] = [
  ' ',
  ...PUNCTUATION,
  ...CONSONANTS,
  ...REDUCED_VOWELS,
  ...FULL_VOWELS,
  ...[...FULL_VOWELS, 'ɜ'].map((vowel) => `ˈ${vowel}`),
  ...[...FULL_VOWELS, 'ɜ'].map((vowel) => `ˌ${vowel}`),
];

/** Ids below are `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3. */
export const FIRST_PHONEME_ID = 4;

/** Number of ids, the four special ones included. */
export const PHONEME_VOCAB_SIZE = FIRST_PHONEME_ID + PHONEMES.length;

const idOf = new Map(PHONEMES.map((phoneme, index) => [phoneme, index + FIRST_PHONEME_ID]));

/** The id of a token; a RangeError when the alphabet lacks it. */
export function phonemeId(token: string): number {
  const id = idOf.get(token);
  if (id === undefined) throw new RangeError(`phonemeId: "${token}" is not one of the ${PHONEMES.length} phonemes`);
  return id;
}

/** True for a token of the alphabet. */
export function isPhoneme(token: string): boolean {
  return idOf.has(token);
}

/** Cuts a string such as "ˈæpᵊl" into a stress mark with its letter, or a letter alone; nothing is checked. */
export function splitPhonemes(phonemes: string): string[] {
  return phonemes.match(/[ˈˌ]?[^ˈˌ]/gu) ?? [];
}

/** True for a vowel, with or without stress. */
export function isVowel(token: string | undefined): boolean {
  return token !== undefined && /[AIOWYiuæɑɔɛɪʊʌɜəᵊᵻɐ]$/.test(token);
}

/** True for a vowel that bears primary or secondary stress. */
export function isStressed(token: string | undefined): boolean {
  return token !== undefined && /^[ˈˌ]/.test(token);
}
