import { wordPhonemes } from './pronounce.js';

// An abbreviation's full stop ends no sentence, except at the end of the text.
const withoutStops = (text: string): string => text.replace(/\b(St|Lt|Capt|etc)\.(?=\s*\S)/g, '$1');

/**
 * The phoneme tokens of plain English text: words of letters and apostrophes, and , . ! ? ; : —.
 * One space token between words, none before punctuation; everything else separates words.
 */
export function phonemeTokens(text: string): string[] {
  const tokens: string[] = [];
  for (const [piece] of withoutStops(text.replace(/[’‘]/g, "'")).matchAll(
    /[A-Za-z]+(?:'[A-Za-z]+)*'?|'[A-Za-z]+|[,.!?;:—]/g,
  )) {
    if (/^[,.!?;:—]$/.test(piece)) {
      tokens.push(piece);
      continue;
    }
    const sounds = wordPhonemes(piece);
    if (sounds.length > 0 && tokens.length > 0) tokens.push(' ');
    tokens.push(...sounds);
  }
  return tokens;
}

export { PHONEMES } from './alphabet.js';
