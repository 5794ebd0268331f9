import {
  cardinal,
  looksLikeYear,
  numberWords,
  ordinal,
  pairWords,
  pluralWords,
  spellDigits,
  yearWords,
} from './number-words.js';
import { readMeasure, readQuantity } from './quantity.js';
import type { Reader } from './reader.js';
import { dayMonthRule, readMeridiem } from './rules-dates.js';
import { trailingCurrency } from './rules-money.js';
import { say, type Speech } from './speech.js';

const ORDINAL_ENDING = /^(?:st|nd|rd|th)$/i;

/** "3rd", "21st". */
function ordinalRule(reader: Reader, text: string): Speech | undefined {
  if (!ORDINAL_ENDING.test(reader.gluedText(1)) || text.includes('.')) return undefined;
  return { take: 2, pieces: say(ordinal(text.replaceAll(',', ''))) };
}

/** "1990s", "90s", "20's": decades and their like. */
function decadeRule(reader: Reader, text: string): Speech | undefined {
  const apostrophe = reader.gluedText(1) === "'s" || reader.gluedText(1) === 's';
  const isDecade = /^[2-9]0$/.test(text) || (/^\d{3,4}$/.test(text) && text.endsWith('0'));
  if (!apostrophe || !isDecade) return undefined;
  const words = looksLikeYear(text) ? yearWords(text) : cardinal(text);
  return { take: 2, pieces: say(pluralWords(words)) };
}

/** "1-2-3": one number after the other. */
function chainRule(reader: Reader, text: string): Speech | undefined {
  const numbers = [text];
  let end = 1;
  while (reader.gluedText(end) === '-' && reader.glued(end + 1)?.kind === 'number') {
    numbers.push(reader.gluedText(end + 1));
    end += 2;
  }
  if (numbers.length < 3) return undefined;
  const sayPart = numbers.some((part) => part.length > 2) ? spellDigits : numberWords;
  return { take: end, pieces: say(numbers.map(sayPart).join(', ')) };
}

/** "5x3", "2 × 4", "3:1", "3x". */
function productRule(reader: Reader, text: string): Speech | undefined {
  const sign = reader.glued(1) ?? reader.item(1);
  if (sign === undefined) return undefined;
  if (sign.text === ':' && sign.glued && reader.glued(2)?.kind === 'number') {
    return { take: 3, pieces: say(`${numberWords(text)} to ${numberWords(reader.gluedText(2))}`) };
  }
  if (sign.text !== 'x' && sign.text !== '×') return undefined;
  const other = sign.glued ? reader.glued(2) : reader.item(2);
  if (other?.kind === 'number') {
    const large = text.length > 2 && other.text.length > 2;
    const words = `${pairWords(text)} ${sign.text === 'x' || large ? 'by' : 'times'} ${pairWords(other.text)}`;
    const measure = readMeasure(reader, 3, false);
    return { take: measure?.end ?? 3, pieces: say(`${words} ${measure?.words ?? ''}`) };
  }
  return sign.glued && sign.text === 'x' ? { take: 2, pieces: say(`${numberWords(text)} times`) } : undefined;
}

/** 5'10", 6'. */
function feetRule(reader: Reader, text: string): Speech | undefined {
  if (reader.gluedText(1) !== "'") return undefined;
  const inches = reader.glued(2);
  if (inches?.kind !== 'number')
    return { take: 2, pieces: say(`${numberWords(text)} ${text === '1' ? 'foot' : 'feet'}`) };
  return {
    take: reader.gluedText(3) === '"' ? 4 : 3,
    pieces: say(`${numberWords(text)} foot ${numberWords(inches.text)}`),
  };
}

/** "5 p.m.", "11am". */
function hourRule(reader: Reader, text: string): Speech | undefined {
  if (!/^(?:0?[1-9]|1[0-2])$/.test(text)) return undefined;
  const meridiem = readMeridiem(reader, 1);
  // "I am" is no time, "5 am" is
  if (meridiem === undefined) return undefined;
  const pieces = say(`${cardinal(text)} ${meridiem.words}`);
  if (meridiem.stop) pieces.push({ kind: 'stop', text: '.' });
  return { take: meridiem.end, pieces };
}

/** Three digits in brackets or "555 123 4567": groups of a telephone number. */
function phoneGroupsRule(reader: Reader, text: string): Speech | undefined {
  if (text === '911') return { take: 1, pieces: say(spellDigits(text)) };
  if (/^\d{4}$/.test(text)) return cardNumber(reader);
  if (!/^\d{3}$/.test(text)) return undefined;
  const second = reader.item(1);
  if (second?.kind === 'phone' && /^\d{3}-\d{4}$/.test(second.text)) {
    return { take: 2, pieces: say(`${spellDigits(text)}, ${phoneWords(second.text)}`) };
  }
  if (second?.kind !== 'number' || !/^\d{3}$/.test(second.text) || !/^\d{4}$/.test(reader.item(2)?.text ?? ''))
    return undefined;
  return { take: 3, pieces: say([text, second.text, reader.item(2)?.text ?? ''].map(spellDigits).join(', ')) };
}

/** "4111 1111 1111 1111". */
function cardNumber(reader: Reader): Speech | undefined {
  const groups = [0, 1, 2, 3].map((ahead) =>
    ahead === 0 || reader.glued(ahead) === undefined ? reader.item(ahead) : undefined,
  );
  if (!groups.every((group) => group?.kind === 'number' && /^\d{4}$/.test(group.text))) return undefined;
  return { take: 4, pieces: say(groups.map((group) => spellDigits(group?.text ?? '')).join(', ')) };
}

function phoneWords(text: string): string {
  return text.split(/[-.]/).map(spellDigits).join(', ');
}

/** A telephone number: "555-123-4567", "+15551234567". */
export function phoneRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  const plus = text.startsWith('+') ? 'plus ' : '';
  return { take: 1, pieces: say(plus + phoneWords(text.replace('+', ''))) };
}

/** "1.2.3", "192.168.0.1". */
export function versionRule(reader: Reader): Speech {
  const parts = (reader.item(0)?.text ?? '').split('.');
  const dot = parts.length > 3 ? ' dot ' : ' point ';
  const sayPart = (part: string): string => (part.length > 2 ? spellDigits(part) : numberWords(part));
  return { take: 1, pieces: say(parts.map(sayPart).join(dot)) };
}

/** An amount with what is counted: "5 kg", "10–20%", "5 €", or a year or bare number. */
function amountRule(reader: Reader): Speech {
  const bare = readQuantity(reader, 0);
  const measure = readMeasure(reader, bare.end, bare.single) ?? trailingCurrency(reader, bare.end, bare.single);
  if (measure !== undefined) return { take: measure.end, pieces: say(`${bare.words} ${measure.words}`) };
  const quantity = readQuantity(reader, 0, { years: true });
  return { take: quantity.end, pieces: say(quantity.words) };
}

/** A number in a name: "B2B", "AA123", "H2O". */
function nameRule(reader: Reader, text: string): Speech | undefined {
  if (reader.item(0)?.glued !== true || reader.before?.kind !== 'word') return undefined;
  // "2h30m"
  if (reader.before.text === 'h' && /^m(?:in)?$/.test(reader.gluedText(1)))
    return { take: 2, pieces: say(`${numberWords(text)} minutes`) };
  if (looksLikeYear(text)) return { take: 1, pieces: say(yearWords(text)) };
  return { take: 1, pieces: say(/^\d{3,}$/.test(text) ? spellDigits(text) : numberWords(text)) };
}

/** "1080p", "4K": sizes of pictures, "5K": races. */
function sizeRule(reader: Reader, text: string): Speech | undefined {
  const letter = reader.gluedText(1);
  if (letter === 'p' && /^(?:480|720|1080|1440|2160)$/.test(text)) {
    const [first, rest] = [text.slice(0, -2), text.slice(-2)];
    return { take: 2, pieces: say(`${cardinal(first)} ${cardinal(rest)} P`) };
  }
  return letter === 'K' && /^(?:2|4|5|6|8|10)$/.test(text)
    ? { take: 2, pieces: say(`${cardinal(text)} K`) }
    : undefined;
}

/** What is said for a number and for what belongs to it. */
export function numberRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  return (
    nameRule(reader, text) ??
    sizeRule(reader, text) ??
    dayMonthRule(reader) ??
    ordinalRule(reader, text) ??
    decadeRule(reader, text) ??
    chainRule(reader, text) ??
    feetRule(reader, text) ??
    hourRule(reader, text) ??
    phoneGroupsRule(reader, text) ??
    productRule(reader, text) ??
    amountRule(reader)
  );
}
