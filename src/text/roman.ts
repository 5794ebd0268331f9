import { cardinal, ordinal } from './number-words.js';

const VALUES: Readonly<Record<string, number>> = { I: 1, V: 5, X: 10, L: 50, C: 100 };
const ROMAN = /^(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})$|^C{1,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})$/;

const RULERS = new Set(
  (
    'Henry Edward Richard George William Charles James Elizabeth Louis Napoleon Paul Benedict Pius Leo Gregory Innocent Alexander Nicholas ' +
    'Catherine Peter Philip Ferdinand Frederick Wilhelm Otto Ramses Ramesses Mary Henri Felipe Carlos Francis Victor Umberto Christian ' +
    'Gustav Oscar Olav Leopold Albert Baldwin Constantine Robert Alfonso Clement Urban Boniface Ivan Darius Xerxes Ptolemy Emmanuel'
  ).split(' '),
);
const DIVISIONS =
  /^(?:chapter|part|volume|book|section|act|scene|article|appendix|phase|stage|type|level|figure|table|canto|war|bowl|title|class|lesson|unit|episode|grade)$/i;

/** The value of a Roman numeral in digits. */
export function romanValue(numeral: string): string {
  let total = 0;
  for (let at = 0; at < numeral.length; at++) {
    const value = VALUES[numeral[at]];
    total += value < (VALUES[numeral[at + 1]] ?? 0) ? -value : value;
  }
  return String(total);
}

/** "VIII" after "Henry" as "the eighth", "IV" after "Chapter" as "four"; undefined where it may be a word or letters. */
export function romanWords(numeral: string, before: string): string | undefined {
  if (!ROMAN.test(numeral)) return undefined;
  if (DIVISIONS.test(before)) return cardinal(romanValue(numeral));
  // "Henry I" may go on as "Henry, I think"
  if (numeral === 'I') return undefined;
  if (RULERS.has(before) && !/^[LC]$/.test(numeral)) return `the ${ordinal(romanValue(numeral))}`;
  // "Rocky III": a title with a number; single letters are more often letters
  return numeral.length > 1 &&
    /^[A-Z][a-z]+$/.test(before) &&
    /^(?:II|III|IV|VI|VII|VIII|IX|XI|XII|XIII|XIV|XVI?)$/.test(numeral)
    ? cardinal(romanValue(numeral))
    : undefined;
}
