import { cardinal } from './number-words.js';
import { readPer, readQuantity } from './quantity.js';
import type { Reader } from './reader.js';
import { say, type Speech } from './speech.js';

interface Currency {
  readonly one: string;
  readonly many: string;
  readonly cent?: readonly [string, string];
}

const DOLLAR: Currency = { one: 'dollar', many: 'dollars', cent: ['cent', 'cents'] };
const POUND: Currency = { one: 'pound', many: 'pounds', cent: ['penny', 'pence'] };
const EURO: Currency = { one: 'euro', many: 'euros', cent: ['cent', 'cents'] };
const YEN: Currency = { one: 'yen', many: 'yen' };
const RUPEE: Currency = { one: 'rupee', many: 'rupees', cent: ['paisa', 'paise'] };

const BY_SYMBOL: Readonly<Record<string, Currency>> = { $: DOLLAR, '£': POUND, '€': EURO, '¥': YEN, '₹': RUPEE };
const BY_CODE: Readonly<Record<string, Currency>> = {
  USD: { ...DOLLAR, one: 'U S dollar', many: 'U S dollars' },
  EUR: EURO,
  GBP: POUND,
  JPY: YEN,
  INR: RUPEE,
  CHF: { one: 'Swiss franc', many: 'Swiss francs' },
};
/** What may be glued before "$". */
const DOLLAR_COUNTRIES: Readonly<Record<string, string>> = {
  US: 'U S',
  AU: 'Australian',
  A: 'Australian',
  CA: 'Canadian',
  C: 'Canadian',
  NZ: 'New Zealand',
  HK: 'Hong Kong',
};

/** "5.50" of a currency with cents: "five dollars and fifty cents"; undefined for other numbers. */
function withCents(text: string, currency: Currency): string | undefined {
  const [whole, decimals] = text.replaceAll(',', '').split('.');
  if (decimals === undefined || decimals.length > 2 || currency.cent === undefined) return undefined;
  const cents = Number(decimals.padEnd(2, '0'));
  const units =
    whole === '' || /^0+$/.test(whole) ? '' : `${cardinal(whole)} ${whole === '1' ? currency.one : currency.many}`;
  const small = cents === 0 ? '' : `${cardinal(String(cents))} ${currency.cent[cents === 1 ? 0 : 1]}`;
  if (units === '' && small === '') return `zero ${currency.many}`;
  return units !== '' && small !== '' ? `${units} and ${small}` : units + small;
}

function amountOf(reader: Reader, at: number, currency: Currency, country: string): Speech {
  const quantity = readQuantity(reader, at, { money: true });
  const exact = quantity.end === at + 1 ? withCents(reader.item(at)?.text ?? '', currency) : undefined;
  const name = country + (quantity.single ? currency.one : currency.many);
  const per = readPer(reader, quantity.end);
  const words = `${exact ?? `${quantity.words} ${name}`} ${per?.words ?? ''}`;
  return { take: per?.end ?? quantity.end, pieces: say(words) };
}

/** "$5.50", "€3m", "£2.5 billion", "US$20"; at a currency sign or the country before it. */
export function moneyRule(reader: Reader): Speech | undefined {
  const first = reader.item(0)?.text ?? '';
  if (Object.hasOwn(DOLLAR_COUNTRIES, first) && reader.gluedText(1) === '$' && reader.glued(2)?.kind === 'number') {
    return amountOf(reader, 2, DOLLAR, `${DOLLAR_COUNTRIES[first]} `);
  }
  if (Object.hasOwn(BY_CODE, first))
    return reader.item(1)?.kind === 'number' ? amountOf(reader, 1, BY_CODE[first], '') : undefined;
  if (!Object.hasOwn(BY_SYMBOL, first) || reader.item(1)?.kind !== 'number') return undefined;
  return amountOf(reader, 1, BY_SYMBOL[first], '');
}

/** A sign or code after its amount: "5 €", "20 USD", "50¢"; its words and the index after it. */
export function trailingCurrency(
  reader: Reader,
  at: number,
  single: boolean,
): { words: string; end: number } | undefined {
  const item = reader.glued(at) ?? reader.item(at);
  if (item === undefined) return undefined;
  if (item.text === '¢') return { words: single ? 'cent' : 'cents', end: at + 1 };
  const currency = Object.hasOwn(BY_CODE, item.text)
    ? BY_CODE[item.text]
    : Object.hasOwn(BY_SYMBOL, item.text) &&
        reader.glued(at + 1)?.kind !== 'number' &&
        (item.glued || reader.item(at + 1)?.kind !== 'number')
      ? BY_SYMBOL[item.text]
      : undefined;
  return currency === undefined ? undefined : { words: single ? currency.one : currency.many, end: at + 1 };
}
