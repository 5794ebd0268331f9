import type { TextSpan } from './front-end.js';

/** Unicode's White_Space, which Python's and Rust's patterns mean by \s and JavaScript's does not quite. */
const SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
// GPT-2's pattern.
const PIECE = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`,
  'uy',
);
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`, 'u');
const LONGEST_CONTRACTION = 3;
// Runs longer than any word or indentation are cut, so that a text without boundaries is not kept whole.
const MAX_PIECE_LENGTH = 4096;

/** A piece of text that is encoded by itself, or a special token. */
export interface BpePiece {
  readonly text: string;
  readonly special: boolean;
  /** Where it begins in the whole text. */
  readonly start: number;
}

/** Which word pieces belong to: what stands between white space. */
export class PieceWords {
  private word: { start: number; end: number } | undefined;

  /** The word of the next piece. */
  of({ text, special, start }: BpePiece): TextSpan | undefined {
    const blank = special ? text.length : text.length - text.replace(LEADING_SPACE, '').length;
    if (blank > 0) this.word = undefined;
    if (blank === text.length) return undefined;
    this.word ??= { start: start + blank, end: 0 };
    this.word.end = start + text.length;
    return this.word;
  }
}

/** The first special token in a text: where it begins and which. */
function findSpecial(text: string, specials: readonly string[]): { at: number; token: string } | undefined {
  let found: { at: number; token: string } | undefined;
  for (const token of specials) {
    const at = text.indexOf(token);
    if (at >= 0 && (found === undefined || at < found.at || (at === found.at && token.length > found.token.length)))
      found = { at, token };
  }
  return found;
}

/** The index from which a text may be the beginning of a special token or of a surrogate pair. */
function certainLength(text: string, specials: readonly string[]): number {
  const longest = Math.max(0, ...specials.map((token) => token.length));
  for (let at = Math.max(0, text.length - longest + 1); at < text.length; at++) {
    const tail = text.slice(at);
    if (specials.some((token) => token.startsWith(tail))) return at;
  }
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
}

/**
 * Cuts a text that arrives in parts as GPT-2's pattern cuts the whole: a piece leaves when no later character can change
 * it. Special tokens that stand in the text are pieces of their own and end what is before them.
 */
export class BpePieces {
  private rest = '';
  /** Where `rest` begins in the whole text. */
  private at = 0;

  /** `absorbing` is the special token that takes the white space before it with it (RoBERTa's `<mask>`). */
  constructor(
    private readonly specials: readonly string[],
    private readonly absorbing: string,
  ) {}

  /** The pieces that became certain. */
  push(text: string): BpePiece[] {
    this.rest += text;
    const pieces = this.throughSpecials();
    const known = certainLength(this.rest, this.specials);
    this.drop(this.cut(this.rest.slice(0, known), false, pieces));
    return pieces;
  }

  /** The rest. */
  end(): BpePiece[] {
    const pieces = this.throughSpecials();
    this.drop(this.cut(this.rest, true, pieces));
    return pieces;
  }

  private drop(length: number): void {
    this.rest = this.rest.slice(length);
    this.at += length;
  }

  private throughSpecials(): BpePiece[] {
    const pieces: BpePiece[] = [];
    for (
      let found = findSpecial(this.rest, this.specials);
      found !== undefined;
      found = findSpecial(this.rest, this.specials)
    ) {
      const before = this.rest.slice(0, found.at);
      this.cut(
        found.token === this.absorbing ? before.replace(new RegExp(`[${SPACE}]+$`, 'u'), '') : before,
        true,
        pieces,
      );
      pieces.push({ text: found.token, special: true, start: this.at + found.at });
      this.drop(found.at + found.token.length);
    }
    return pieces;
  }

  /** Cuts `text`, whose end is the end of a segment when `closed`; the number of code units that were cut off. */
  private cut(text: string, closed: boolean, pieces: BpePiece[]): number {
    let at = 0;
    while (at < text.length) {
      PIECE.lastIndex = at;
      const piece = PIECE.exec(text)?.[0] ?? text.slice(at);
      const end = at + Math.min(piece.length, MAX_PIECE_LENGTH);
      // "'r" may become "'re".
      const mayContract = text[at] === "'" && text.length - at < LONGEST_CONTRACTION;
      const overlong = end - at === MAX_PIECE_LENGTH;
      if (!closed && !overlong && (end === text.length || mayContract)) break;
      pieces.push({ text: text.slice(at, end), special: false, start: this.at + at });
      at = end;
    }
    return at;
  }
}
