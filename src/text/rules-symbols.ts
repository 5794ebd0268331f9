import type { Item } from './items.js';
import { spellDigits } from './number-words.js';
import type { Reader } from './reader.js';
import { isDayName } from './rules-dates.js';
import { moneyRule } from './rules-money.js';
import { say, type Piece, type Speech, word } from './speech.js';

const NAMES: Readonly<Record<string, string>> = {
  '&': 'and',
  '+': 'plus',
  '=': 'equals',
  '%': 'percent',
  '@': 'at',
  '°': 'degrees',
  '©': 'copyright',
  '§': 'section',
  '±': 'plus or minus',
  '×': 'times',
  '÷': 'divided by',
  '≈': 'approximately',
  '≠': 'is not equal to',
  '≤': 'less than or equal to',
  '≥': 'greater than or equal to',
  '√': 'square root of',
  '∞': 'infinity',
  $: 'dollars',
  '£': 'pounds',
  '€': 'euros',
  '¥': 'yen',
  '₹': 'rupees',
  '¢': 'cents',
  '\\': 'backslash',
};
const STOPS: Readonly<Record<string, ',' | '!' | '?'>> = { ',': ',', '!': '!', '?': '?' };
const PAUSES = ';:—()[]{}→|';

const one = (...pieces: Piece[]): Speech => ({ take: 1, pieces });
const isNumber = (reader: Reader): boolean => reader.before?.kind === 'number';

/** A dash with something before it: "10am-4pm", "5-3=2", "Mon-Fri", "a--b", "well-known". */
function gluedDash(reader: Reader): Speech {
  const next = reader.glued(1);
  if (next === undefined) return one({ kind: 'pause' });
  if (next.text === '-') return { take: 2, pieces: [{ kind: 'pause' }] };
  const counts =
    /^(?:number|time|date)$/.test(next.kind) || (/^[$£€]$/.test(next.text) && reader.glued(2)?.kind === 'number');
  if (counts && isNumber(reader)) return one(word('minus'));
  if (counts && reader.before !== undefined && /^(?:time|date)$|^[%°CFK]$|^[ap]\.?m\.?$/i.test(describe(reader.before)))
    return one(word('to'));
  return isDayName(next) && (reader.before?.text === '.' || isDayName(reader.before)) ? one(word('to')) : one();
}

/** An item's kind where that says more than its text. */
const describe = (item: Item): string => (item.kind === 'time' || item.kind === 'date' ? item.kind : item.text);

/** "-5", "5 - 3", "well-known", " - ". */
function dashRule(reader: Reader): Speech {
  const glued = reader.item(0)?.glued === true;
  const next = reader.glued(1);
  const opens = !glued || /^[(["']$/.test(reader.before?.text ?? '');
  if (
    opens &&
    next !== undefined &&
    (next.kind === 'number' || (/^[$£€]$/.test(next.text) && reader.glued(2)?.kind === 'number'))
  ) {
    return one(word('minus'));
  }
  if (glued) return gluedDash(reader);
  if (reader.item(0)?.after === 'line' || reader.item(0)?.after === 'paragraph') return one({ kind: 'break' });
  return isNumber(reader) && reader.item(1)?.kind === 'number' ? one(word('minus')) : one({ kind: 'pause' });
}

/** "3 * 4", "**bold**", bullets. */
function starRule(reader: Reader): Speech {
  const first = reader.item(0);
  if (isNumber(reader) && (reader.glued(1) ?? reader.item(1))?.kind === 'number') return one(word('times'));
  return first?.after === 'line' || first?.after === 'paragraph' ? one({ kind: 'break' }) : one();
}

/** "–" between capitalized words or numbers as "to" ("Paris–London"), else a pause. */
function enDashRule(reader: Reader): Speech {
  const next = reader.glued(1);
  const numbers = reader.before !== undefined && next !== undefined && gluedDash(reader).pieces[0]?.kind === 'word';
  const names = /^[A-Z][a-z]/.test(reader.before?.text ?? '') && /^[A-Z][a-z]/.test(next?.text ?? '');
  const isRange = reader.item(0)?.glued === true && (numbers || names || isDayName(next));
  return one(isRange ? word('to') : { kind: 'pause' });
}

/** "<" and ">" between numbers or spaced words; a quotation mark of e-mails at the start of a line is silent. */
function compareRule(reader: Reader, symbol: string): Speech {
  const equal = reader.gluedText(1) === '=';
  const first = reader.item(0);
  // a typed heart
  if (symbol === '<' && reader.gluedText(1) === '3' && !isNumber(reader)) return { take: 2, pieces: [] };
  if (!isNumber(reader) && first?.after !== 'space') return one();
  if ((reader.glued(equal ? 2 : 1) ?? reader.item(equal ? 2 : 1)) === undefined) return one();
  return {
    take: equal ? 2 : 1,
    pieces: say(`is ${symbol === '<' ? 'less' : 'greater'} than${equal ? ' or equal to' : ''}`),
  };
}

/** "10 / 2", "he/she" as "he or she", "and/or", "TCP/IP"; in a path it is a slash. */
function slashRule(reader: Reader): Speech {
  const [before, next] = [reader.before, reader.glued(1)];
  if (reader.item(0)?.glued !== true)
    return isNumber(reader) && reader.item(1)?.kind === 'number' ? one(...say('divided by')) : one(word('slash'));
  if (before?.kind !== 'word' || next?.kind !== 'word' || reader.gluedText(2) === '/' || before.text === '/')
    return one(word('slash'));
  const choice =
    /^[a-z]{2,}$/.test(next.text) && /^[A-Za-z][a-z]+$/.test(before.text) && !/^(?:and|or)$/.test(next.text);
  return choice && !/^and$/i.test(before.text) ? one(word('or')) : one();
}

/** "#5" as "number five". */
function hashRule(reader: Reader): Speech {
  if (reader.glued(1)?.kind === 'number') return one(word('number'));
  const heading = reader.gluedText(1) === '#' || reader.item(0)?.after !== 'space';
  return heading ? one() : one(word(reader.item(0)?.glued === true ? 'sharp' : 'hash'));
}

/** "(555) 123-4567": the area code. */
function bracketRule(reader: Reader): Speech {
  if (reader.item(0)?.text === '(' && /^\d{3}$/.test(reader.gluedText(1)) && reader.gluedText(2) === ')') {
    const next = reader.glued(3) ?? reader.item(3);
    if (next?.kind === 'phone') return { take: 3, pieces: say(`${spellDigits(reader.gluedText(1))},`) };
  }
  return one({ kind: 'pause' });
}

/** "." and "..."; dots before a word in lower case are a pause. */
function dotRule(reader: Reader): Speech {
  const next0 = reader.glued(1);
  const inName =
    reader.item(0)?.glued === true ? reader.before?.kind === 'word' && /^[a-z]/.test(next0?.text ?? '') : true;
  if (next0?.kind === 'word' && inName) return one(word('dot'));
  if (next0?.text !== '.') return one({ kind: 'stop', text: '.' });
  let take = 2;
  while (reader.gluedText(take) === '.') take += 1;
  const next = reader.glued(take) ?? reader.item(take);
  const goesOn = next?.kind === 'word' && (/^[a-z]/.test(next.text) || next.glued);
  return { take, pieces: [goesOn ? { kind: 'pause' } : { kind: 'stop', text: '.' }] };
}

const MAX_PHONE_GROUPS = 5;

/** "+44 20 7946 0958". */
function internationalPhoneRule(reader: Reader): Speech | undefined {
  if (!/^\d{1,3}$/.test(reader.gluedText(1)) || reader.glued(2) !== undefined) return undefined;
  const groups = [reader.gluedText(1)];
  while (groups.length <= MAX_PHONE_GROUPS) {
    const next = reader.item(groups.length + 1);
    if (next?.kind !== 'number' || next.glued || !/^\d{2,5}$/.test(next.text)) break;
    groups.push(next.text);
  }
  if (groups.length < 3) return undefined;
  return { take: groups.length + 1, pieces: say(`plus ${groups.map(spellDigits).join(', ')}`) };
}

/** What is said for a symbol or punctuation mark, and for an amount of money that begins with one. */
export function symbolRule(reader: Reader): Speech {
  const symbol = reader.item(0)?.text ?? '';
  if (symbol === '.') return dotRule(reader);
  if (Object.hasOwn(STOPS, symbol)) return one({ kind: 'stop', text: STOPS[symbol] });
  if (symbol === '(') return bracketRule(reader);
  if (PAUSES.includes(symbol)) return one({ kind: 'pause' });
  if (symbol === '•') return one({ kind: 'break' });
  if (symbol === '-') return dashRule(reader);
  if (symbol === '*') return starRule(reader);
  if (symbol === '/') return slashRule(reader);
  if (symbol === '#') return hashRule(reader);
  if (symbol === '<' || symbol === '>') return compareRule(reader, symbol);
  if (symbol === '~')
    return reader.glued(1)?.kind === 'number' || reader.glued(2)?.kind === 'number' ? one(word('about')) : one();
  if (symbol === '–') return enDashRule(reader);
  if (symbol === '^') return powerRule(reader);
  if (symbol === '+' && reader.item(0)?.glued === false) return internationalPhoneRule(reader) ?? one(word('plus'));
  if (symbol === '+' && reader.item(0)?.glued === true && reader.gluedText(1) === '+')
    return { take: 2, pieces: say('plus plus') };
  return moneyRule(reader) ?? one(...say(NAMES[symbol] ?? ''));
}

function powerRule(reader: Reader): Speech {
  const exponent = reader.gluedText(1);
  if (exponent === '-' && reader.glued(2)?.kind === 'number') return { take: 2, pieces: say('to the power of minus') };
  if (reader.glued(1)?.kind !== 'number') return one();
  if (exponent === '2') return { take: 2, pieces: say('squared') };
  if (exponent === '3') return { take: 2, pieces: say('cubed') };
  return one(...say('to the power of'));
}
