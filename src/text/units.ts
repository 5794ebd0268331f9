/** A unit as it is said: one, many; `spaced` when it is also read after a space ("5 kg", but not "5 in"). */
interface Unit {
  readonly one: string;
  readonly many: string;
  readonly spaced: boolean;
}

const table = new Map<string, Unit>();

function add(symbols: string, one: string, many = `${one}s`, spaced = true): void {
  for (const symbol of symbols.split(' ')) table.set(symbol, { one, many, spaced });
}

add('km', 'kilometer');
add('m', 'meter');
add('cm', 'centimeter');
add('mm', 'millimeter');
add('nm', 'nanometer');
add('um μm', 'micrometer');
add('mi', 'mile');
add('ft', 'foot', 'feet');
add('in', 'inch', 'inches', false);
add('yd yds', 'yard');
add('ha', 'hectare', 'hectares', false);
add('kg kgs', 'kilogram');
add('g', 'gram');
add('mg', 'milligram');
add('mcg ug', 'microgram');
add('lb lbs', 'pound');
add('oz', 'ounce');
add('l L', 'liter');
add('ml mL', 'milliliter');
add('cl', 'centiliter');
add('gal', 'gallon');
add('tsp', 'teaspoon');
add('tbsp', 'tablespoon');
add('mph', 'mile per hour', 'miles per hour');
add('kph kmh', 'kilometer per hour', 'kilometers per hour');
add('mpg', 'mile per gallon', 'miles per gallon');
add('rpm', 'revolution per minute', 'revolutions per minute');
add('bpm', 'beat per minute', 'beats per minute');
add('fps', 'frame per second', 'frames per second');
add('dpi', 'dot per inch', 'dots per inch');
add('psi', 'pound per square inch', 'pounds per square inch');
add('Hz', 'hertz', 'hertz');
add('kHz', 'kilohertz', 'kilohertz');
add('MHz', 'megahertz', 'megahertz');
add('GHz', 'gigahertz', 'gigahertz');
add('W', 'watt');
add('kW', 'kilowatt');
add('MW', 'megawatt');
add('GW', 'gigawatt');
add('kWh', 'kilowatt hour');
add('MWh', 'megawatt hour');
add('V', 'volt');
add('mV', 'millivolt');
add('kV', 'kilovolt');
add('mA', 'milliamp');
add('mAh', 'milliamp hour');
add('J', 'joule');
add('kJ', 'kilojoule');
add('cal', 'calorie');
add('kcal', 'kilocalorie');
add('Pa', 'pascal');
add('kPa', 'kilopascal');
add('hPa', 'hectopascal');
add('dB', 'decibel');
add('kB KB', 'kilobyte');
add('MB', 'megabyte');
add('GB', 'gigabyte');
add('TB', 'terabyte');
add('PB', 'petabyte');
add('kbps Kbps', 'kilobit per second', 'kilobits per second');
add('Mbps', 'megabit per second', 'megabits per second');
add('Gbps', 'gigabit per second', 'gigabits per second');
add('ns', 'nanosecond');
add('ms', 'millisecond');
add('us', 'microsecond', 'microseconds', false);
add('s', 'second', 'seconds', false);
add('sec secs', 'second');
add('min mins', 'minute');
add('h', 'hour');
add('hr hrs', 'hour');
add('yr yrs', 'year');
add('wk wks', 'week', 'weeks', false);
add('px', 'pixel');
add('MP', 'megapixel');
add('sqft', 'square foot', 'square feet');

/** Units that are spelled out but may stand after a slash: "5 dollars/month". */
const PER_WORDS = 'second minute hour day week month year night person unit mile acre gallon liter ounce pound'.split(
  ' ',
);

/** The unit of a symbol; null when none is meant. */
export function unitOf(symbol: string, glued: boolean): Unit | null {
  const unit = table.get(symbol);
  return unit !== undefined && (glued || unit.spaced) ? unit : null;
}

/** What stands after "per": "h" as "hour", "month" as itself; null for anything else. */
export function perUnit(text: string): string | null {
  return table.get(text)?.one ?? (PER_WORDS.includes(text) ? text : null);
}

/** Units whose square and cube are common: "5 m2". */
export function isLength(symbol: string): boolean {
  return /^(?:[mck]?m|ft|in|mi|yd)$/.test(symbol);
}
