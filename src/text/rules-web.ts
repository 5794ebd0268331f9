import type { Reader } from './reader.js';
import { numberWords, spellDigits } from './number-words.js';
import { knownWord } from './pronounce.js';
import { say, type Piece, type Speech, word } from './speech.js';

const MARKS: Readonly<Record<string, string>> = {
  '.': 'dot',
  '/': 'slash',
  '-': 'dash',
  _: 'underscore',
  '@': 'at',
  ':': 'colon',
  '?': 'question mark',
  '=': 'equals',
  '&': 'and',
  '#': 'hash',
  '%': 'percent',
  '+': 'plus',
  '~': 'tilde',
  '\\': 'backslash',
};

/** A name in an address, where case means nothing: a word when it is one, else its letters when they are few. */
function nameInAddress(name: string): Piece[] {
  const lower = name.toLowerCase();
  if (lower.length === 1) return [{ kind: 'letters', text: name.toUpperCase() }];
  const isWord = knownWord(lower) && /[aeiouy]/.test(lower) && !SPELLED.has(lower);
  if (isWord || (lower.length > 4 && /[aeiouy]/.test(lower))) return [word(lower)];
  return [{ kind: 'letters', text: lower.toUpperCase() }];
}

// Endings that a dictionary reads in another way.
const SPELLED = new Set(
  'io ai co uk us ca de tv me eu it be au id no se is pdf html css js ts csv xml sql svg exe mov bin edu md'.split(' '),
);
const WORDS = new Set('com org net gov info zip bat log dot mil biz co app dev'.split(' '));

/** An address, a file name or a handle, name by name: words, letters, digits and marks. */
export function addressPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  for (const [part] of text.matchAll(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^A-Za-z\d]/g)) {
    if (/^\d/.test(part)) pieces.push(...say(part.length > 4 ? spellDigits(part) : numberWords(part)));
    else if (/^[A-Za-z]/.test(part))
      pieces.push(...(WORDS.has(part.toLowerCase()) ? [word(part.toLowerCase())] : nameInAddress(part)));
    else if (Object.hasOwn(MARKS, part)) pieces.push(...say(MARKS[part]));
  }
  return pieces;
}

/** "https://www.example.com/a" as "W W W dot example dot com slash A"; the protocol and a last slash are not read. */
export function urlRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  return { take: 1, pieces: addressPieces(text.replace(/^(?:https?|ftp):\/\//i, '').replace(/\/$/, '')) };
}

/** "bob@example.com" as "bob at example dot com"; file names likewise. */
export function addressRule(reader: Reader): Speech {
  return { take: 1, pieces: addressPieces(reader.item(0)?.text ?? '') };
}

/** "@bob_smith" as "at bob smith", "#ThrowbackThursday" as "hashtag throwback thursday". */
export function tagRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  const name = text.slice(1).replaceAll('_', ' ');
  return { take: 1, pieces: [word(text.startsWith('#') ? 'hashtag' : 'at'), ...addressPieces(name)] };
}
