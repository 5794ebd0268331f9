import { fractionWords, isFraction, looksLikeYear, numberWords, yearWords } from './number-words.js';
import type { Reader } from './reader.js';
import { isLength, perUnit, unitOf } from './units.js';

/** A number with what belongs to it: fraction, range, magnitude. */
export interface Quantity {
  /** The index after its last item. */
  readonly end: number;
  readonly words: string;
  /** The unit after it stands in the singular. */
  readonly single: boolean;
}

const MAGNITUDES: Readonly<Record<string, string>> = {
  k: 'thousand',
  K: 'thousand',
  M: 'million',
  B: 'billion',
  bn: 'billion',
  T: 'trillion',
  tn: 'trillion',
  mn: 'million',
};
const MONEY_MAGNITUDES: Readonly<Record<string, string>> = {
  ...MAGNITUDES,
  m: 'million',
  b: 'billion',
  t: 'trillion',
  mln: 'million',
  bln: 'billion',
};
const LARGE_WORDS = /^(?:hundred|thousand|million|billion|trillion)$/i;

export interface QuantityOptions {
  /** After a currency sign "m" is a million, and "5 million" belongs to it. */
  readonly money?: boolean;
  /** Four digits may be a year. */
  readonly years?: boolean;
}

/** "½" and "3/4" glued to or after a number: "1 1/2" as "one and a half". */
function readFraction(reader: Reader, at: number): Quantity | undefined {
  const text = reader.item(at)?.text ?? '';
  const inChain = at === 0 && reader.before?.text === '/';
  if (
    !inChain &&
    reader.gluedText(at + 1) === '/' &&
    reader.glued(at + 2)?.kind === 'number' &&
    reader.gluedText(at + 3) !== '/'
  ) {
    const words = fractionWords(text, reader.gluedText(at + 2));
    return { end: at + 3, words, single: isFraction(text, reader.gluedText(at + 2)) };
  }
  if (!/^\d{1,3}$/.test(text) || reader.glued(at + 1) !== undefined) return undefined;
  const above = reader.item(at + 1);
  if (above?.kind !== 'number' || reader.gluedText(at + 2) !== '/' || reader.glued(at + 3)?.kind !== 'number')
    return undefined;
  if (!isFraction(above.text, reader.gluedText(at + 3))) return undefined;
  const part = fractionWords(above.text, reader.gluedText(at + 3))
    .replace(/^one /, 'a ')
    .replace('a eighth', 'an eighth');
  return { end: at + 4, words: `${numberWords(text)} and ${part}`, single: false };
}

/** The number at `at`, which must be one, without a range. */
function readAmount(reader: Reader, at: number, options: QuantityOptions): Quantity {
  const fraction = readFraction(reader, at);
  if (fraction !== undefined) return fraction;
  const text = reader.item(at)?.text ?? '';
  const words = options.years === true && looksLikeYear(text) ? yearWords(text) : numberWords(text);
  const magnitudes = options.money === true ? MONEY_MAGNITUDES : MAGNITUDES;
  const suffix = reader.gluedText(at + 1);
  if (Object.hasOwn(magnitudes, suffix))
    return { end: at + 2, words: `${numberWords(text)} ${magnitudes[suffix]}`, single: false };
  if (options.money === true && reader.glued(at + 1) === undefined) {
    const next = reader.item(at + 1);
    if (next?.kind === 'word' && LARGE_WORDS.test(next.text)) {
      return { end: at + 2, words: `${words} ${next.text.toLowerCase()}`, single: false };
    }
  }
  return { end: at + 1, words, single: text === '1' };
}

/** The index of the number after a range's dash at `at`, or -1: "5-10", "1914–1918", "5 – 10". */
function rangeEnd(reader: Reader, at: number): number {
  const dash = reader.glued(at) ?? (reader.item(at)?.text === '–' ? reader.item(at) : undefined);
  if (dash === undefined || !/^[-–]$/.test(dash.text)) return -1;
  let next = at + 1;
  const follows = dash.glued ? reader.glued(next) : reader.item(next);
  if (follows === undefined) return -1;
  if (/^[$£€]$/.test(follows.text)) next += 1;
  if ((next === at + 1 ? follows : reader.glued(next))?.kind !== 'number') return -1;
  // "5-3=2" and "1-2-3" are no ranges
  if (reader.gluedText(next + 1) === '=') return -1;
  return reader.gluedText(next + 1) === '-' && reader.glued(next + 2)?.kind === 'number' ? -1 : next;
}

/** "1914-18": the second year borrows the first one's century. */
function shortYear(first: string, second: string): string | null {
  const isYearPair = looksLikeYear(first) && /^\d{2}$/.test(second) && Number(second) > Number(first.slice(2));
  return isYearPair ? numberWords(second) : null;
}

/** The quantity whose first number stands at `at`. */
export function readQuantity(reader: Reader, at: number, options: QuantityOptions = {}): Quantity {
  const first = readAmount(reader, at, options);
  // "a $5 bill", "a 5 km run"
  const single = first.single || /^(?:an?|another|every)$/i.test(reader.before?.text ?? '');
  const next = rangeEnd(reader, first.end);
  if (next < 0) return { ...first, single };
  const second = readAmount(reader, next, options);
  const words = shortYear(reader.item(at)?.text ?? '', reader.item(next)?.text ?? '') ?? second.words;
  return { end: second.end, words: `${first.words} to ${words}`, single: false };
}

/** What follows a quantity and names what is counted: a unit, percent, degrees. `end` is the index after it. */
export interface Measure {
  readonly end: number;
  readonly words: string;
}

const SCALES: Readonly<Record<string, string>> = { C: 'Celsius', F: 'Fahrenheit' };

function readDegrees(reader: Reader, at: number, single: boolean): Measure {
  const degrees = single ? 'degree' : 'degrees';
  const scale = reader.glued(at + 1) ?? reader.item(at + 1);
  if (scale !== undefined && Object.hasOwn(SCALES, scale.text))
    return { end: at + 2, words: `${degrees} ${SCALES[scale.text]}` };
  return { end: at + 1, words: degrees };
}

/** "/h" after a unit or an amount: " per hour". */
export function readPer(reader: Reader, at: number): Measure | undefined {
  const per = reader.gluedText(at) === '/' ? perUnit(reader.gluedText(at + 1)) : null;
  return per === null ? undefined : { end: at + 2, words: `per ${per}` };
}

/** The measure at `at`, if there is one. */
export function readMeasure(reader: Reader, at: number, single: boolean): Measure | undefined {
  const item = reader.glued(at) ?? reader.item(at);
  if (item === undefined) return undefined;
  if (item.text === '%') return { end: at + 1, words: 'percent' };
  if (item.text === '°') return readDegrees(reader, at, single);
  const hyphenated = item.text === '-' && item.glued ? unitOf(reader.gluedText(at + 1), false) : null;
  if (hyphenated !== null && reader.gluedText(at + 1).length > 1) return { end: at + 2, words: hyphenated.one };
  if (item.kind !== 'word') return undefined;
  const area = item.text === 'sq' ? unitOf(reader.item(at + 1)?.text ?? '', true) : null;
  if (area !== null) return { end: at + 2, words: `square ${single ? area.one : area.many}` };
  const unit = unitOf(item.text, item.glued);
  if (unit === null) return undefined;
  let words = single ? unit.one : unit.many;
  let end = at + 1;
  if (isLength(item.text)) {
    const caret = reader.gluedText(end) === '^' ? 1 : 0;
    const power = reader.gluedText(end + caret);
    if (power === '2' || power === '3') {
      words = `${power === '2' ? 'square' : 'cubic'} ${words}`;
      end += caret + 1;
    }
  }
  // the stop of "3 ft. tall"
  if (reader.gluedText(end) === '.' && /^[a-z]/.test(reader.item(end + 1)?.text ?? '')) end += 1;
  const per = readPer(reader, end);
  return per === undefined ? { end, words } : { end: per.end, words: `${words} ${per.words}` };
}
