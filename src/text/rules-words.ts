import { abbreviation, DOTTED_READINGS } from './abbreviations.js';
import { isInitialism } from './capitals.js';
import type { Item } from './items.js';
import { letterPhonemes } from './letters.js';
import { ordinal } from './number-words.js';
import { knownWord } from './pronounce.js';
import { readPer } from './quantity.js';
import type { Reader } from './reader.js';
import { romanValue, romanWords } from './roman.js';
import { dayRule, monthRule } from './rules-dates.js';
import { moneyRule } from './rules-money.js';
import { withS } from './sound-rules.js';
import { say, type Piece, type Speech, word } from './speech.js';
import { unitOf } from './units.js';

const one = (...pieces: Piece[]): Speech => ({ take: 1, pieces });
const isCapitalized = (item: Item | undefined): boolean => item?.kind === 'word' && /^[A-Z]/.test(item.text);
/** True for the capitalized word that an initial or a title stands before: "John F. Kennedy". */
const startsName = (item: Item | undefined): boolean => item?.glued === false && isCapitalized(item);
const STOP: Piece = { kind: 'stop', text: '.' };

/** The pieces of an abbreviation whose stop is item 1; the stop is kept where it may end a sentence as well. */
function withStop(reader: Reader, words: string, mayEnd: boolean): Speech {
  const next = reader.item(2);
  const ends = next === undefined || (mayEnd && startsName(next));
  return { take: 2, pieces: ends ? [...say(words), STOP] : say(words) };
}

/** "Dr. Smith" and "Oak Dr.", "St. Giles" and "Main St.": by what stands around them. */
function titleOrStreet(reader: Reader, text: string): Speech | undefined {
  if (text !== 'Dr' && text !== 'St') return undefined;
  const stop = reader.gluedText(1) === '.' ? 1 : 0;
  const next = reader.item(1 + stop);
  const follows = startsName(next);
  if (stop === 0 && next?.glued === true) return undefined;
  const [title, street] = text === 'Dr' ? ['doctor', 'drive'] : ['saint', 'street'];
  const isStreet = !follows && isCapitalized(reader.before);
  if (!isStreet && !follows && text === 'St' && stop === 0) return undefined;
  const words = isStreet ? street : title;
  return stop === 1 ? withStop(reader, words, isStreet) : one(...say(words));
}

function abbreviationRule(reader: Reader, text: string): Speech | undefined {
  const found = abbreviation(text);
  if (found === undefined) return titleOrStreet(reader, text);
  const stop = reader.gluedText(1) === '.';
  if (found.needsStop && !stop) return undefined;
  const next = found.before === undefined ? undefined : reader.item(stop ? 2 : 1);
  if (found.before === 'number' && next?.kind !== 'number') return undefined;
  if (found.before === 'capital' && !isCapitalized(next)) return undefined;
  if (found.before === 'word' && (next?.kind !== 'word' || next.glued)) return undefined;
  return stop ? withStop(reader, found.words, found.mayEnd) : one(...say(found.words));
}

/** Capitals: "FBI", "FBI's", "CDs"; a single letter but the article and the pronoun. */
function capitalsRule(reader: Reader, text: string): Speech | undefined {
  const match = /^([A-Z]+)('s|(?<=[A-Z]{2})s)?$/.exec(text);
  if (match === null) return undefined;
  const [, capitals, ending] = match;
  if (capitals.length === 1)
    return ending === undefined ? singleLetter(reader, text) : letterWord(text, capitals, true);
  if (ending === undefined) {
    if (isCentury(reader, text)) return one(...say(ordinal(romanValue(text))));
    const roman = romanWords(text, reader.before?.text ?? '');
    if (roman !== undefined) return one(...say(roman));
    const joined =
      text.length <= 3 &&
      (reader.gluedText(1) === '&' || (reader.before?.text === '&' && reader.item(0)?.glued === true));
    return joined || isInitialism(text, reader) ? one({ kind: 'letters', text }) : one(word(text.toLowerCase()));
  }
  return isInitialism(capitals, reader) ? letterWord(text, capitals, true) : undefined;
}

/** "XIX century". */
function isCentury(reader: Reader, text: string): boolean {
  return /^[XVI]+$/.test(text) && /^centur(?:y|ies)$/i.test(reader.item(1)?.text ?? '');
}

function letterWord(text: string, letters: string, plural: boolean): Speech {
  const sound = letterPhonemes(letters);
  return one(word(text, plural ? withS(sound) : sound));
}

const LETTER_CONTEXT =
  /^(?:vitamin|plan|grade|type|class|point|option|section|hepatitis|appendix|team|group|letter|row|gate|exhibit)$/i;

function singleLetter(reader: Reader, text: string): Speech {
  const isInitial = reader.gluedText(1) === '.' && startsName(reader.item(2));
  const roman = isInitial ? undefined : romanWords(text, reader.before?.text ?? '');
  if (roman !== undefined) return one(...say(roman));
  if (text === 'I') return one(word('I'));
  const inName = reader.glued(1) !== undefined && !/^[,!?;:)"'—–]$/.test(reader.gluedText(1));
  if (text === 'A' && !inName && !LETTER_CONTEXT.test(reader.before?.text ?? '')) return one(word('A'));
  const letter: Piece = { kind: 'letters', text };
  return isInitial ? { take: 2, pieces: [letter] } : one(letter);
}

const PREFIX_SOUNDS: Readonly<Record<string, readonly string[]>> = {
  re: ['ɹ', 'ˌi'],
  pre: ['p', 'ɹ', 'ˌi'],
  co: ['k', 'ˌO'],
  de: ['d', 'ˌi'],
  non: ['n', 'ˌɑ', 'n'],
  bi: ['b', 'ˌI'],
  tri: ['t', 'ɹ', 'ˌI'],
};

/** "re-enter", "co-op": one word when the dictionary has it, else the prefix with its own sound. */
function prefixRule(reader: Reader, text: string): Speech | undefined {
  const prefix = text.toLowerCase();
  if (!Object.hasOwn(PREFIX_SOUNDS, prefix) || reader.gluedText(1) !== '-' || reader.glued(2)?.kind !== 'word')
    return undefined;
  const rest = reader.gluedText(2);
  if (rest === rest.toLowerCase() && knownWord(prefix + rest)) return { take: 3, pieces: [word(prefix + rest)] };
  return { take: 2, pieces: [word(text, PREFIX_SOUNDS[prefix])] };
}

/** Letters glued to a digit: "mp3", "B2B", "GPT4"; a word of the dictionary stays one. */
function codeRule(reader: Reader, text: string): Speech | undefined {
  const beside =
    reader.glued(1)?.kind === 'number' || (reader.item(0)?.glued === true && reader.before?.kind === 'number');
  if (!beside || text.length > 3 || (text === text.toLowerCase() && text.length > 1 && knownWord(text)))
    return undefined;
  if (/[a-z]/.test(text.slice(1)) && knownWord(text.toLowerCase())) return undefined;
  return one({ kind: 'letters', text: text.toUpperCase().replace(/[^A-Z]/g, '') });
}

/** "JavaScript", "eBay", "OpenAI" in their parts, unless the dictionary has them whole. */
function camelRule(reader: Reader, text: string): Speech | undefined {
  if (!/[a-z][A-Z]|[A-Z]{2}[a-z]/.test(text) || knownWord(text.toLowerCase())) return undefined;
  const [stem, possessive] = /^(.*?)('s)?$/.exec(text)?.slice(1) ?? [text];
  const parts = stem.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z']+|[A-Z]/g) ?? [stem];
  return one(
    ...parts.map((part, index): Piece => {
      const last = index === parts.length - 1 ? (possessive ?? '') : '';
      if (/^[A-Z]{2,}$/.test(part) && isInitialism(part, reader)) return { kind: 'letters', text: part };
      return part.length === 1 ? { kind: 'letters', text: part.toUpperCase() } : word(part + last);
    }),
  );
}

/** "soooo" as "so", "yesss" as "yes". */
function unstretched(text: string): string {
  if (!/([A-Za-z])\1\1/i.test(text)) return text;
  const twice = text.replace(/([A-Za-z])\1{2,}/gi, '$1$1');
  const once = text.replace(/([A-Za-z])\1{2,}/gi, '$1');
  if (/^(?:so|no)$/i.test(once)) return once;
  return knownWord(twice.toLowerCase()) ? twice : knownWord(once.toLowerCase()) ? once : twice;
}

/** "km/h" without a number. */
function rateRule(reader: Reader): Speech | undefined {
  if (reader.gluedText(1) !== '/' || !/^(?:km|m|mi|kg|mg|g|ft|kB|MB|GB)$/.test(reader.item(0)?.text ?? ''))
    return undefined;
  const per = readPer(reader, 1);
  const unit = unitOf(reader.item(0)?.text ?? '', true);
  return per === undefined || unit === null ? undefined : { take: per.end, pieces: say(`${unit.many} ${per.words}`) };
}

/** What is said for a word as it is typed. */
export function wordRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  const special =
    moneyRule(reader) ??
    monthRule(reader) ??
    dayRule(reader) ??
    rateRule(reader) ??
    codeRule(reader, text) ??
    abbreviationRule(reader, text) ??
    capitalsRule(reader, text) ??
    prefixRule(reader, text) ??
    camelRule(reader, text);
  if (special !== undefined) return special;
  if (/^n$/i.test(text) && reader.gluedText(1) === '/' && /^a$/i.test(reader.gluedText(2)))
    return { take: 3, pieces: say('N A') };
  if (text === 'w' && reader.gluedText(1) === '/') return { take: 2, pieces: [word('with')] };
  if (text === 'a' && reader.before?.text === '(' && reader.gluedText(1) === ')')
    return one({ kind: 'letters', text: 'A' });
  const unsayable = !/[aeiouy']/i.test(text) && !knownWord(text.toLowerCase()) && !/(.)\1/i.test(text);
  if (/^[b-hj-z]$/.test(text) || unsayable) return one({ kind: 'letters', text: text.toUpperCase() });
  return one(word(unstretched(text)));
}

/** "U.S.", "e.g.", "J.R.R. Tolkien", "9 a.m." */
export function dottedRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  const reading = DOTTED_READINGS[text.toLowerCase().replace(/\.$/, '')];
  const pieces =
    reading === undefined ? [{ kind: 'letters', text: text.replaceAll('.', '').toUpperCase() } as Piece] : say(reading);
  const ends = text.endsWith('.') && reading === undefined && reader.item(1) === undefined;
  return one(...pieces, ...(ends ? [STOP] : []));
}
