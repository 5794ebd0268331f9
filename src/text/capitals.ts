import { ACRONYMS, INITIALISMS } from './abbreviations.js';
import type { Item } from './items.js';
import { letterPhonemes } from './letters.js';
import { knownWord, wordPhonemes } from './pronounce.js';
import type { Reader } from './reader.js';

// Short capitals that are everyday words as well: letters, unless the words around them are in capitals too.
const AMBIGUOUS = new Set(['US', 'IT', 'AM', 'AD', 'ID', 'AI', 'LA', 'MA', 'ET', 'ICE', 'LED', 'API', 'BA', 'OS']);
const MAX_LETTERS = 5;

/** A word in capitals for emphasis, not an initialism. */
function isShouted(item: Item | undefined): boolean {
  if (item?.kind !== 'word' || item.text.length < 2 || item.text !== item.text.toUpperCase()) return false;
  return !ACRONYMS.has(item.text) && !INITIALISMS.has(item.text) && knownWord(item.text.toLowerCase());
}

/** True when the dictionary itself names the letters: "FBI, CNN". */
function soundsLikeLetters(capitals: string): boolean {
  const bare = (tokens: readonly string[]): string => tokens.join('').replace(/[ˈˌ]/g, '');
  return bare(wordPhonemes(capitals)) === bare(letterPhonemes(capitals));
}

/** True when a word in capitals (two or more) is named letter by letter. */
export function isInitialism(capitals: string, reader: Reader): boolean {
  if (ACRONYMS.has(capitals)) return false;
  if (capitals === 'WHO') return /^the$/i.test(reader.before?.text ?? '');
  if (AMBIGUOUS.has(capitals)) return !isShouted(reader.before) && !isShouted(reader.item(1));
  if (INITIALISMS.has(capitals)) return true;
  if (!/[AEIOUY]/.test(capitals)) return true;
  if (knownWord(capitals.toLowerCase())) return soundsLikeLetters(capitals);
  return capitals.length < MAX_LETTERS;
}
