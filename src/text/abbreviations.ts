/** How an abbreviation is read. */
export interface Abbreviation {
  readonly words: string;
  /** Only with its full stop ("No. 5", but "no"). */
  readonly needsStop: boolean;
  /** Its full stop may end the sentence too ("Inc.", but not "Mr."). */
  readonly mayEnd: boolean;
  /** What must follow. */
  readonly before?: 'number' | 'capital' | 'word';
}

const table = new Map<string, Abbreviation>();

function add(entries: string, options: Partial<Omit<Abbreviation, 'words'>> = {}): void {
  for (const entry of entries.split(',')) {
    const [keys, words] = entry.trim().split(' = ');
    for (const key of keys.split(' ')) table.set(key, { words, needsStop: false, mayEnd: false, ...options });
  }
}

add('Drs = doctors, mr = mister, mrs = missus, prof = professor');
add('dr = doctor', { before: 'word' });
add('Mr = mister, Mrs = missus, Ms = miz, Messrs = messers, Mme = madam, Mlle = mademoiselle');
add('Prof = professor, Capt = captain, Lt = lieutenant, Sgt = sergeant, Cpl = corporal, Cmdr = commander, Maj = major');
add('Gov = governor, Supt = superintendent, Insp = inspector');
add('Rev = reverend, Gen = general, Col = colonel, Sen = senator, Rep = representative, Hon = honorable', {
  needsStop: true,
});
add('Pres = president, Adm = admiral, Pvt = private, Det = detective, Fr = father, Msgr = monsignor', {
  needsStop: true,
});
add('Mt = mount, Ft = fort, Pt = point', { before: 'capital' });
add('Jr jr = junior, Sr = senior, Esq = esquire', { mayEnd: true });
add('Inc = incorporated, Ltd = limited, Corp = corporation, Bros = brothers, Assn = association', { mayEnd: true });
add('Co = company, Univ = university, Inst = institute, Assoc = associates', { needsStop: true, mayEnd: true });
add('Ave = avenue, Blvd = boulevard, Hwy = highway, Pkwy = parkway, Rd = road, Ln = lane, Sq = square', {
  mayEnd: true,
});
add('Dept dept = department, Govt govt = government, approx Approx = approximately, apt Apt = apartment', {
  needsStop: true,
});
add('etc Etc = etcetera', { mayEnd: true });
add('vs Vs = versus, Ctrl ctrl = control');
add('v = versus', { needsStop: true, before: 'capital' });
add('al = al', { needsStop: true, mayEnd: true });
add('esp = especially, misc Misc = miscellaneous, temp Temp = temperature, ext Ext = extension, incl = including', {
  needsStop: true,
});
add('cf Cf = compare, viz = namely, resp = respectively, est Est = established, ed Ed = editor, eds = editors', {
  needsStop: true,
});
add('ca Ca = circa, min = minimum', { needsStop: true, before: 'number' });
add('max = maximum, avg Avg = average, wt = weight, tel Tel = telephone', { needsStop: true });
add('ft = feet, hrs = hours, hr = hour, mins = minutes, sec = seconds, lb = pound, lbs = pounds, oz = ounces', {
  needsStop: true,
  mayEnd: true,
});
add(
  'No no Nos nos = number, p = page, pp = pages, vol Vol = volume, ch Ch = chapter, fig Fig = figure, sec Sec = section',
  {
    needsStop: true,
    before: 'number',
  },
);
add('art Art = article, para Para = paragraph, eq Eq = equation, ver = version, op Op = opus', {
  needsStop: true,
  before: 'number',
});
add('Ala = Alabama, Ariz = Arizona, Calif = California, Colo = Colorado, Conn = Connecticut, Mass = Massachusetts', {
  needsStop: true,
  mayEnd: true,
});

/** The reading of an abbreviation as it is spelled, without its full stop. */
export function abbreviation(text: string): Abbreviation | undefined {
  return table.get(text);
}

/** Letters with full stops that are read in another way than letter by letter; in lower case. */
export const DOTTED_READINGS: Readonly<Record<string, string>> = {
  'e.g': 'for example',
  'i.e': 'that is',
  'a.k.a': 'also known as',
  'ph.d': 'P H D',
  'n.b': 'note',
};

/** Capitals that are said as a word although no dictionary has them, or that a dictionary spells out. */
export const ACRONYMS: ReadonlySet<string> = new Set(
  (
    'NASA NATO UNESCO UNICEF OPEC AIDS SARS COVID RADAR LASER SCUBA FIFA UEFA NAFTA ASEAN GIF JPEG RAM ROM SIM PIN POTUS SCOTUS ' +
    'NASDAQ ASCII SWAT NORAD CAPTCHA LEGO IKEA NIMBY TESOL FEMA OSHA DARPA CERN NOAA LAN WAN BASIC COBOL YAML LIDAR SONAR MIDI WIFI'
  ).split(' '),
);

/** Capitals that are named letter by letter although a dictionary has them as a word. */
export const INITIALISMS: ReadonlySet<string> = new Set(
  'FYI BRB ASAP RIP TBD ETA US UN IT AI UK EU TV ID PM AM HR PR PC CV DJ CEO CFO CTO CIA FBI USA IRS ATM DIY FAQ IQ IP OS OK PhD BC AD CE BCE ET EST PST GMT UTC GPS USB CD DVD VIP UFO LED API SQL URL TTS GPU CPU LLM HIV ADHD ECG MRI DNA RNA BA MA MD DC LA NY NYC NFL NBA ISS ICE IRA'.split(
    ' ',
  ),
);
