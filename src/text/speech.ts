import type { TextSpan } from './front-end.js';

/** What is said, piece by piece; `span` is the written word that it says, as the normalizer has it. */
export type Piece =
  | { readonly kind: 'word'; readonly text: string; readonly sound?: readonly string[]; readonly span?: TextSpan }
  /** Capital letters named one by one: "FBI". */
  | { readonly kind: 'letters'; readonly text: string; readonly span?: TextSpan }
  | { readonly kind: 'stop'; readonly text: ',' | '.' | '!' | '?' }
  /** A comma, if a word follows. */
  | { readonly kind: 'pause' }
  /** A full stop, if a word follows. */
  | { readonly kind: 'break' };

/** Some typed items as they are said. */
export interface Speech {
  /** The number of items that it stands for. */
  readonly take: number;
  readonly pieces: readonly Piece[];
}

/** A word said as it is spelled. */
export function word(text: string, sound?: readonly string[]): Piece {
  return sound === undefined ? { kind: 'word', text } : { kind: 'word', text, sound };
}

/** Pieces of a plain phrase: words, single capitals for letters that are named, commas: `say('ten thirty P M')`. */
export function say(phrase: string): Piece[] {
  const pieces: Piece[] = [];
  for (const part of phrase.split(/[\s-]+/)) {
    const text = part.replace(/,$/, '');
    const last = pieces[pieces.length - 1];
    if (/^[A-Z]$/.test(text)) {
      if (last?.kind === 'letters') pieces[pieces.length - 1] = { kind: 'letters', text: last.text + text };
      else pieces.push({ kind: 'letters', text });
    } else if (text !== '') pieces.push(word(text));
    if (part.endsWith(',')) pieces.push({ kind: 'stop', text: ',' });
  }
  return pieces;
}
