import { cardinal, looksLikeYear, numberWords, ordinal, yearWords } from './number-words.js';
import type { Item } from './items.js';
import type { Reader } from './reader.js';
import { say, type Speech } from './speech.js';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const ABBREVIATED = new Map(
  'Jan:0 Feb:1 Mar:2 Apr:3 Jun:5 Jul:6 Aug:7 Sep:8 Sept:8 Oct:9 Nov:10 Dec:11'.split(' ').map((entry) => {
    const [name, index] = entry.split(':');
    return [name, MONTHS[Number(index)]] as const;
  }),
);

/** The month that an item names, and whether it was cut short. */
function monthOf(item: Item | undefined): { name: string; short: boolean } | undefined {
  if (item?.kind !== 'word') return undefined;
  const text = item.text.charAt(0).toUpperCase() + item.text.slice(1).toLowerCase();
  if (item.text !== text && item.text !== item.text.toUpperCase()) return undefined;
  if (MONTHS.includes(text)) return { name: text, short: false };
  const name = ABBREVIATED.get(text);
  return name === undefined ? undefined : { name, short: true };
}

const isDay = (item: Item | undefined): boolean =>
  item?.kind === 'number' && /^(?:0?[1-9]|[12]\d|3[01])$/.test(item.text);
const ORDINAL_ENDING = /^(?:st|nd|rd|th)$/;

/** A year at `at`, with a comma before it allowed: " twenty twenty four". */
function readYear(reader: Reader, at: number): { words: string; end: number } | undefined {
  const comma = reader.gluedText(at) === ',' ? 1 : 0;
  const item = reader.item(at + comma);
  if (item === undefined || item.glued || !(looksLikeYear(item.text) || item.text === '2000')) return undefined;
  return { words: `${comma === 1 ? ',' : ''} ${yearWords(item.text)}`, end: at + comma + 1 };
}

/** "March 5, 2024", "Mar. 5th", "Sept 11": at a month's name. */
export function monthRule(reader: Reader): Speech | undefined {
  const month = monthOf(reader.item(0));
  if (month === undefined) return undefined;
  const dot = month.short && reader.gluedText(1) === '.' ? 1 : 0;
  const day = reader.item(1 + dot);
  let end = 2 + dot;
  if (!isDay(day) || day?.glued === true || reader.gluedText(end) === ':' || reader.gluedText(end) === '%') {
    return withoutDay(reader, month, dot);
  }
  let words = `${month.name} ${ordinal(day?.text ?? '')}`;
  if (ORDINAL_ENDING.test(reader.gluedText(end))) end += 1;
  const dash = /^[-–]$/.test(reader.gluedText(end)) && isDay(reader.glued(end + 1));
  if (dash) {
    words += ` to ${ordinal(reader.gluedText(end + 1))}`;
    end += 2;
  }
  const year = readYear(reader, end);
  return { take: year?.end ?? end, pieces: say(words + (year?.words ?? '')) };
}

/** "in Sept.", "Jan 2024"; "Mar." and "Jun." alone may be names. */
function withoutDay(reader: Reader, month: { name: string; short: boolean }, dot: number): Speech | undefined {
  const next = reader.item(1 + dot);
  const isName = /^(?:March|June)$/.test(month.name) && next?.kind !== 'number';
  if (!month.short || isName || (dot === 0 && next?.kind !== 'number')) return undefined;
  const pieces = say(month.name);
  if (dot === 1 && next === undefined) pieces.push({ kind: 'stop', text: '.' });
  return { take: 1 + dot, pieces };
}

const DAYS: Readonly<Record<string, string>> = {
  Mon: 'Monday',
  Tue: 'Tuesday',
  Tues: 'Tuesday',
  Wed: 'Wednesday',
  Thu: 'Thursday',
  Thur: 'Thursday',
  Thurs: 'Thursday',
  Fri: 'Friday',
  Sat: 'Saturday',
  Sun: 'Sunday',
};

/** True for a day's name that is cut short. */
export const isDayName = (item: Item | undefined): boolean => item?.kind === 'word' && Object.hasOwn(DAYS, item.text);

/** "Mon.", "Fri, May 3", "Sat-Sun", "Tue 5 pm"; "Sat" and "Sun" alone are words. */
export function dayRule(reader: Reader): Speech | undefined {
  const text = reader.item(0)?.text ?? '';
  if (!isDayName(reader.item(0))) return undefined;
  const stop = reader.gluedText(1) === '.' ? 1 : 0;
  const next = reader.glued(1 + stop) ?? reader.item(1 + stop);
  const mayBeWord = /^(?:Mon|Wed|Sat|Sun)$/.test(text);
  const listed =
    next?.kind === 'number' ||
    next?.kind === 'time' ||
    /^[-–,/]$/.test(next?.text ?? '') ||
    monthOf(next) !== undefined ||
    isDayName(reader.before);
  if (mayBeWord ? !listed && !(stop === 1 && /^[MW]/.test(text)) : !listed && stop === 0) return undefined;
  const pieces = say(DAYS[text]);
  if (stop === 1 && (next === undefined || (!next.glued && /^[A-Z]/.test(next.text))))
    pieces.push({ kind: 'stop', text: '.' });
  return { take: 1 + stop, pieces };
}

/** "5 March 2024", "15 Mar", "3rd March": at the day. */
export function dayMonthRule(reader: Reader): Speech | undefined {
  const day = reader.item(0);
  if (!isDay(day)) return undefined;
  const ending = ORDINAL_ENDING.test(reader.gluedText(1)) ? 1 : 0;
  if (reader.glued(1 + ending) !== undefined) return undefined;
  const month = monthOf(reader.item(1 + ending));
  if (month === undefined) return undefined;
  const dot = month.short && reader.gluedText(2 + ending) === '.' ? 1 : 0;
  const end = 2 + ending + dot;
  const article = /^the$/i.test(reader.before?.text ?? '') ? '' : 'the ';
  const year = readYear(reader, end);
  return {
    take: year?.end ?? end,
    pieces: say(`${article}${ordinal(day?.text ?? '')} of ${month.name}${year?.words ?? ''}`),
  };
}

/** "2024-03-15", "3/15/2024", "15.3.2024": month first with slashes unless that cannot be. */
export function dateRule(reader: Reader): Speech {
  const text = reader.item(0)?.text ?? '';
  const parts = text.split(/[-/.]/);
  let [year, month, day] = parts;
  if (text.includes('/')) [month, day, year] = parts;
  if (text.includes('.')) [day, month, year] = parts;
  if (Number(month) > MONTHS.length) [month, day] = [day, month];
  const name = MONTHS[Number(month) - 1];
  if (name === undefined || Number(day) < 1 || Number(day) > 31) {
    return { take: 1, pieces: say(parts.map((part) => numberWords(part)).join(' ')) };
  }
  return { take: 1, pieces: say(`${name} ${ordinal(day)}, ${shortOrLongYear(year)}`) };
}

function shortOrLongYear(year: string): string {
  if (year.length === 4) return looksLikeYear(year) ? yearWords(year) : cardinal(year);
  return year.startsWith('0') ? `oh ${cardinal(year)}` : cardinal(year);
}

const MERIDIEM = /^([ap])\.?m\.?$/i;

/** "am", "p.m." at `at`: its two letters, and whether its dot ends the sentence as well. */
export function readMeridiem(reader: Reader, at: number): { words: string; end: number; stop: boolean } | undefined {
  const item = reader.glued(at) ?? reader.item(at);
  const match = MERIDIEM.exec(item?.text ?? '');
  if (match === null || (item?.kind !== 'word' && item?.kind !== 'dotted')) return undefined;
  const next = item.text.endsWith('.') ? reader.item(at + 1) : null;
  const stop =
    next === undefined ||
    (next !== null && next.kind === 'word' && /^[A-Z]/.test(next.text) && !/^I(?:'|$)/.test(next.text));
  return { words: `${match[1].toUpperCase()} M`, end: at + 1, stop };
}

/** "10:30", "5:05 p.m.", "14:00", "1:23:45". */
export function timeRule(reader: Reader): Speech {
  const [hours, minutes, seconds] = (reader.item(0)?.text ?? '').split(':');
  const meridiem = readMeridiem(reader, 1);
  const hour = cardinal(hours);
  let words = `${hour} ${minutes.startsWith('0') ? 'oh ' : ''}${cardinal(minutes)}`;
  if (minutes === '00')
    words =
      meridiem !== undefined
        ? hour
        : Number(hours) > 12 || hours.startsWith('0')
          ? `${hour} hundred`
          : `${hour} o'clock`;
  if (seconds !== undefined) words += ` and ${cardinal(seconds)} ${seconds === '01' ? 'second' : 'seconds'}`;
  const pieces = say(`${words} ${meridiem?.words ?? ''}`);
  if (meridiem?.stop === true) pieces.push({ kind: 'stop', text: '.' });
  return { take: meridiem?.end ?? 1, pieces };
}
