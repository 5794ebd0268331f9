import { abbreviation } from './abbreviations.js';

/** A text's end after which an abbreviation or an initial cannot end the sentence. */
function goesOn(sentence: string, next: string): boolean {
  // '"Really?" he asked.'
  if (/[?!]["'”’]\s*$/.test(sentence) && /^[a-z]/.test(next)) return true;
  const match = /([A-Za-z]+|(?:[A-Za-z]\.)+[A-Za-z])\.\s*$/.exec(sentence);
  if (match === null) return false;
  const [, last] = match;
  if (/^[a-z]/.test(next)) return true;
  if (/^[A-Z]$/.test(last) && last !== 'I') return true;
  if (last === 'Dr' || last === 'St') return true;
  const found = abbreviation(last);
  if (found === undefined || found.mayEnd) return false;
  return found.before !== 'number' || /^\d/.test(next);
}

/**
 * The sentences of a text, each with the white space after it, so that joined they are the text. Full stops of
 * abbreviations ("Dr. Smith"), initials and numbers end none; an empty line always does.
 */
export function splitSentences(text: string): string[] {
  const sentences: string[] = [];
  for (const paragraph of text.match(/[^]*?\n[^\S\n]*\n\s*|[^]+$/g) ?? []) {
    let open = '';
    for (const { segment } of new Intl.Segmenter('en', { granularity: 'sentence' }).segment(paragraph)) {
      if (open !== '' && segment.trim() !== '' && !goesOn(open, segment) && !/[^.!?…"'”’)\]\s:;]\n\s*$/.test(open)) {
        sentences.push(open);
        open = '';
      }
      open += segment;
    }
    if (open !== '') sentences.push(open);
  }
  return sentences;
}
