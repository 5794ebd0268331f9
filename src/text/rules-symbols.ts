import { spellDigits } from './number-words.js';
import type { Reader } from './reader.js';
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
const PAUSES = ';:—–()[]{}→|';

const one = (...pieces: Piece[]): Speech => ({ take: 1, pieces });
const isNumber = (reader: Reader): boolean => reader.before?.kind === 'number';

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
  if (glued) return next === undefined ? one({ kind: 'pause' }) : one();
  if (reader.item(0)?.after === 'line' || reader.item(0)?.after === 'paragraph') return one({ kind: 'break' });
  return isNumber(reader) && reader.item(1)?.kind === 'number' ? one(word('minus')) : one({ kind: 'pause' });
}

/** "3 * 4", "**bold**", bullets. */
function starRule(reader: Reader): Speech {
  const first = reader.item(0);
  if (isNumber(reader) && (reader.glued(1) ?? reader.item(1))?.kind === 'number') return one(word('times'));
  return first?.after === 'line' || first?.after === 'paragraph' ? one({ kind: 'break' }) : one();
}

/** "<" and ">" between numbers or spaced words; a quotation mark of e-mails at the start of a line is silent. */
function compareRule(reader: Reader, symbol: string): Speech {
  const equal = reader.gluedText(1) === '=';
  const first = reader.item(0);
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
  const choice = /^[a-z]+$/.test(next.text) && /^[A-Za-z][a-z]*$/.test(before.text) && !/^(?:and|or)$/.test(next.text);
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
  if (reader.gluedText(1) !== '.') return one({ kind: 'stop', text: '.' });
  let take = 2;
  while (reader.gluedText(take) === '.') take += 1;
  const next = reader.glued(take) ?? reader.item(take);
  const goesOn = next?.kind === 'word' && (/^[a-z]/.test(next.text) || next.glued);
  return { take, pieces: [goesOn ? { kind: 'pause' } : { kind: 'stop', text: '.' }] };
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
  if (symbol === '~') return (reader.glued(1) ?? undefined)?.kind === 'number' ? one(word('about')) : one();
  if (symbol === '^') return reader.glued(1)?.kind === 'number' ? powerRule(reader) : one();
  if (symbol === '+' && reader.item(0)?.glued === true && reader.gluedText(1) === '+')
    return { take: 2, pieces: say('plus plus') };
  return moneyRule(reader) ?? one(...say(NAMES[symbol] ?? ''));
}

function powerRule(reader: Reader): Speech {
  const exponent = reader.gluedText(1);
  if (exponent === '2') return { take: 2, pieces: say('squared') };
  if (exponent === '3') return { take: 2, pieces: say('cubed') };
  return one(...say('to the power of'));
}
