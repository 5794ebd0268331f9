/** Characters that Unicode's compatibility mapping would lose or leave, and what stands for them. */
const REPLACEMENTS: readonly (readonly [RegExp, string])[] = [
  [/[‘’‚‛ʼʹ′´ˈ＇]/g, "'"],
  [/[“”„‟«»″〝〞]/g, '"'],
  [/…/g, '...'],
  [/[‐‑⁃]/g, '-'],
  [/[‒–]/g, '–'],
  [/[—―⸺⸻]/g, '—'],
  [/−/g, '-'],
  [/²/g, '^2'],
  [/³/g, '^3'],
  [/(?<=\d)(?=[¼-¾⅐-⅞])/g, ' '],
  [/[®™℠]/g, ''],
  [/[µμ](?=[mgslL]\b)/g, 'u'],
  [/[ΩΩ]/g, ' ohms '],
  [/[ĸ]/g, 'k'],
  [/ß|ẞ/g, 'ss'],
  [/[æǣ]/g, 'ae'],
  [/[ÆǢ]/g, 'Ae'],
  [/œ/g, 'oe'],
  [/Œ/g, 'Oe'],
  [/ø/g, 'o'],
  [/Ø/g, 'O'],
  [/ł/g, 'l'],
  [/Ł/g, 'L'],
  [/[đð]/g, 'd'],
  [/[ĐÐ]/g, 'D'],
  [/þ/g, 'th'],
  [/Þ/g, 'Th'],
  [/ı/g, 'i'],
  [/[•‣◦▪●·・]/g, '•'],
  [/[→⇒➔➜]/g, '→'],
];

/** What pages leave behind when they are copied. */
const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
  '&nbsp;': ' ',
  '&#39;': "'",
};

const GREEK =
  'alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega'.split(
    ' ',
  );
const FIRST_GREEK = 0x3b1;

/** Symbols that a rule reads or that separate words; together with ASCII, all that is left after folding. */
const KNOWN_SYMBOLS = '–—•→£€¥₹¢°§±×÷≈≠≤≥√∞©';
const UNKNOWN = new RegExp(`[^\\x20-\\x7e${KNOWN_SYMBOLS}]`, 'gu');
// Emoji with their modifiers, and characters without any sound: never worth a warning.
const SILENT =
  /(?!©)[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u{fe00}-\u{fe0f}\u{20e3}\u{e0000}-\u{e007f}]/gu;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}]/gu;

/**
 * Typed characters as ASCII and a few symbols: accents folded, quotes and dashes mapped, emoji and control characters
 * dropped. `skipped` receives every other character that is dropped.
 */
export function foldCharacters(text: string, skipped: (character: string) => void): string {
  const plain = text.includes('&')
    ? text.replace(/&(?:amp|lt|gt|quot|apos|nbsp|#39);/g, (entity) => ENTITIES[entity])
    : text;
  if (/^[\x20-\x7e]*$/.test(plain)) return plain;
  let folded = plain.normalize('NFC').replace(SILENT, '');
  for (const [pattern, replacement] of REPLACEMENTS) folded = folded.replace(pattern, replacement);
  folded = folded
    .normalize('NFKC')
    .replaceAll('⁄', '/')
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .replace(INVISIBLE, '');
  folded = folded.replace(/[Α-Ωα-ω]/g, (letter) => {
    const name = GREEK[letter.toLowerCase().charCodeAt(0) - FIRST_GREEK];
    return ` ${name} `;
  });
  return folded.replace(UNKNOWN, (character) => {
    skipped(character);
    return '';
  });
}
