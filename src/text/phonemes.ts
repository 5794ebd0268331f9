import { EnglishPhonemes } from './english.js';

const english = new EnglishPhonemes();

/** The phoneme tokens of a whole English text without a user's list; `tokens.join('')` is the text in Kokoro's alphabet. */
export function phonemeTokens(text: string): string[] {
  return english.tokens(text);
}
