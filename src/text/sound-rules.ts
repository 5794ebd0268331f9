import { isStressed, isVowel } from './alphabet.js';

const SIBILANT = /[szʃʒʧʤ]$/;
const VOICELESS = /[ptkfθ]$/;
const isFlapContext = (token: string | undefined): boolean => isVowel(token) || token === 'ɹ';

/** A stem's plural, possessive or third person: "cats, dogs, horses". */
export function withS(stem: readonly string[]): string[] {
  const last = stem[stem.length - 1] ?? '';
  if (SIBILANT.test(last)) return [...stem, 'ᵻ', 'z'];
  return [...stem, VOICELESS.test(last) ? 's' : 'z'];
}

/** A stem's past: "walked, played, wanted". */
export function withEd(stem: readonly string[]): string[] {
  const last = stem[stem.length - 1] ?? '';
  if (last === 'd') return [...stem, 'ᵻ', 'd'];
  if (last === 't') return [...stem.slice(0, -1), isFlapContext(stem[stem.length - 2]) ? 'T' : 't', 'ᵻ', 'd'];
  return [...stem, /[pkfθʃsʧ]$/.test(last) ? 't' : 'd'];
}

/** A stem's participle: "walking". */
export function withIng(stem: readonly string[]): string[] {
  const flapped = stem[stem.length - 1] === 't' && isFlapContext(stem[stem.length - 2]);
  return [...(flapped ? [...stem.slice(0, -1), 'T'] : stem), 'ɪ', 'ŋ'];
}

/** "-ed" and "-es" after t, d and sibilants have the vowel ᵻ. */
function reduceEnding(tokens: string[], word: string): void {
  const at = tokens.length - 2;
  if (at < 1 || !/^[ɪə]$/.test(tokens[at])) return;
  const before = tokens[at - 1];
  const ed = word.endsWith('ed') && tokens[at + 1] === 'd' && /^[tdT]$/.test(before);
  const es = /(es|'s)$/.test(word) && tokens[at + 1] === 'z' && SIBILANT.test(before);
  if (ed || es) tokens[at] = 'ᵻ';
}

/** Secondary stresses that the dictionary writes and the alphabet's speakers do not. */
function thinStress(tokens: string[], word: string): void {
  const last = tokens.length - 1;
  if (tokens[0] === 'ə' && tokens[1] === 'n' && word.startsWith('un') && last > 2) tokens[0] = 'ˌʌ';
  // "indeed, impartial": the prefix before the stressed syllable
  if (tokens[0] === 'ˌɪ' && /^[nm]$/.test(tokens[1]) && word[0] === 'i') {
    const next = tokens.findIndex((token, index) => index > 0 && isVowel(token));
    if (next > 0 && tokens[next].startsWith('ˈ')) tokens[0] = 'ɪ';
  }
  for (let at = 1; at <= last; at++) {
    if (tokens[at] === 'ˌi' && (at === last || at === last - 1)) tokens[at] = 'i';
    if (tokens[at] === 'ˌO' && (at === last || (at === last - 1 && tokens[last] === 'z'))) tokens[at] = 'O';
    if (tokens[at] === 'ˌɜ') tokens[at] = 'ə';
  }
}

/** ᵊ for a schwa that l or n swallows: "apple, prison". */
function swallowSchwa(tokens: string[], at: number): void {
  const [before, after, then] = [tokens[at - 1], tokens[at + 1], tokens[at + 2]];
  if (isVowel(then) || before === undefined || isVowel(before)) return;
  if (after === 'l') tokens[at] = 'ᵊ';
  if (after !== 'n') return;
  if (/^[tdszʒ]$/.test(before) || (before === 'm' && then === 't')) tokens[at] = 'ᵊ';
}

/** ə for an unstressed ɪ in an open syllable: "merited, relation". */
function reduceI(tokens: string[], at: number): void {
  const open = !isVowel(tokens[at + 1]) && isVowel(tokens[at + 2]);
  if (open && !/^[ŋʤʃ]$/.test(tokens[at + 1])) tokens[at] = 'ə';
}

/**
 * A dictionary's careful pronunciation as it is spoken in American English: flapped t, reduced vowels,
 * no superfluous stress. `word` is in lower case.
 */
export function asSpoken(pronunciation: readonly string[], word: string): string[] {
  const tokens = [...pronunciation];
  thinStress(tokens, word);
  for (let at = 0; at < tokens.length; at++) {
    const next = tokens[at + 1];
    if (tokens[at] === 't' && isFlapContext(tokens[at - 1]) && isVowel(next) && !isStressed(next)) {
      // "button" keeps its t
      if (!(next === 'ə' && tokens[at + 2] === 'n' && !isVowel(tokens[at + 3]))) tokens[at] = 'T';
    }
    if (tokens[at] === 'ɪ') reduceI(tokens, at);
    if (tokens[at] === 'ə') swallowSchwa(tokens, at);
  }
  reduceEnding(tokens, word);
  return tokens;
}
