import { toCardinal, toOrdinal } from 'n2words/en-US';

const DIGITS = 'zero one two three four five six seven eight nine'.split(' ');
// Longer strings of digits are read digit by digit.
const MAX_CARDINAL_DIGITS = 36;

/** "123" as "one hundred twenty three"; longer than 36 digits, digit by digit. */
export function cardinal(digits: string): string {
  if (digits.length > MAX_CARDINAL_DIGITS) return spellDigits(digits);
  return toCardinal(BigInt(digits)).replaceAll('-', ' ');
}

/** "23" as "twenty third". */
export function ordinal(digits: string): string {
  if (digits.length > MAX_CARDINAL_DIGITS) return spellDigits(digits);
  if (/^0+$/.test(digits)) return 'zeroth';
  return toOrdinal(BigInt(digits)).replaceAll('-', ' ');
}

/** "407" as "four zero seven". */
export function spellDigits(digits: string): string {
  return [...digits].map((digit) => DIGITS[Number(digit)] ?? '').join(' ');
}

/** A year of four digits: "1905" as "nineteen oh five", "2024" as "twenty twenty four", "2003" as "two thousand three". */
export function yearWords(year: string): string {
  const century = Number(year.slice(0, 2));
  const rest = Number(year.slice(2));
  if (century % 10 === 0 && rest < 10) return cardinal(year);
  const first = cardinal(String(century));
  if (rest === 0) return `${first} hundred`;
  return rest < 10 ? `${first} oh ${DIGITS[rest]}` : `${first} ${cardinal(String(rest))}`;
}

/** True for four digits that people read as a year when nothing says otherwise. */
export function looksLikeYear(text: string): boolean {
  return /^\d{4}$/.test(text) && Number(text) >= 1010 && Number(text) < 2100 && text !== '2000';
}

/** Three or four digits in pairs, as sizes are read: "1920" as "nineteen twenty", "640" as "six forty". */
export function pairWords(digits: string): string {
  if (!/^[1-9]\d{2,3}$/.test(digits) || digits.endsWith('00')) return numberWords(digits);
  if (digits.length === 4)
    return digits.startsWith('0', 1) && digits[2] === '0' ? numberWords(digits) : yearWords(digits);
  const rest = digits.slice(1);
  return `${DIGITS[Number(digits[0])]} ${rest.startsWith('0') ? 'oh ' : ''}${cardinal(rest)}`;
}

/** A typed number, commas and decimals included: "1,234.5", "007", "5551234567". */
export function numberWords(text: string): string {
  const [whole, decimals] = text.replaceAll(',', '').split('.');
  if (decimals !== undefined) return `${whole === '' ? 'zero' : cardinal(whole)} point ${spellDigits(decimals)}`;
  const isCode = /^0\d/.test(whole) || (!text.includes(',') && whole.length > 6 && !/0{3}$/.test(whole));
  return isCode ? spellDigits(whole) : cardinal(whole);
}

/** "nineteen ninety" as "nineteen nineties". */
export function pluralWords(words: string): string {
  if (words.endsWith('y')) return `${words.slice(0, -1)}ies`;
  return words.endsWith('x') ? `${words}es` : `${words}s`;
}

const NAMED_FRACTIONS: Readonly<Record<string, readonly [string, string]>> = {
  '2': ['half', 'halves'],
  '4': ['quarter', 'quarters'],
};
const MAX_ORDINAL_DENOMINATOR = 20;

/** True when "3/8" is read as a fraction and not as "three over eight". */
export function isFraction(numerator: string, denominator: string): boolean {
  if (!/^\d+$/.test(numerator + denominator)) return false;
  const [above, below] = [Number(numerator), Number(denominator)];
  return below >= 2 && (below <= MAX_ORDINAL_DENOMINATOR || below === 100) && above > 0 && above < below;
}

/** "3/8" as "three eighths", "24/7" as "twenty four seven", "12/40" as "twelve over forty". */
export function fractionWords(numerator: string, denominator: string): string {
  const isName = (numerator === '24' && denominator === '7') || (numerator === '9' && denominator === '11');
  if (isName || (numerator === denominator && numerator.length === 2)) {
    return `${cardinal(numerator)} ${cardinal(denominator)}`;
  }
  if (!isFraction(numerator, denominator)) return `${numberWords(numerator)} over ${numberWords(denominator)}`;
  const named = NAMED_FRACTIONS[denominator];
  const single = named?.[0] ?? ordinal(denominator);
  const many = named?.[1] ?? `${single}s`;
  return `${cardinal(numerator)} ${numerator === '1' ? single : many}`;
}
