import { foldCharacters } from './characters.js';
import { type Chunk, ChunkSplitter } from './chunks.js';
import type { TextSpan } from './front-end.js';
import { type Item, itemsOf } from './items.js';
import { Reader } from './reader.js';
import { dateRule, timeRule } from './rules-dates.js';
import { numberRule, phoneRule, versionRule } from './rules-numbers.js';
import { symbolRule } from './rules-symbols.js';
import { addressRule, tagRule, urlRule } from './rules-web.js';
import { dottedRule, wordRule } from './rules-words.js';
import { type Piece, type Speech, word } from './speech.js';

const RULES: Readonly<Record<Item['kind'], (reader: Reader) => Speech>> = {
  word: wordRule,
  dotted: dottedRule,
  number: numberRule,
  time: timeRule,
  date: dateRule,
  phone: phoneRule,
  version: versionRule,
  email: addressRule,
  url: urlRule,
  file: addressRule,
  handle: tagRule,
  hashtag: tagRule,
  symbol: symbolRule,
};

export interface NormalizerOptions {
  /** The sound of a word that the user listed; asked with the word in lower case, before any rule. */
  readonly listed?: (word: string) => readonly string[] | undefined;
  /** Receives every character that is left out. */
  readonly skipped?: (character: string) => void;
}

/**
 * Written English that arrives in pieces as spoken words, letters and stops.
 * A word is certain when white space follows; before capitals, abbreviations, months and numbers, whose reading depends
 * on what comes next, at most four further words are waited for. What is said does not depend on how the text was cut.
 */
export class Normalizer {
  private readonly splitter = new ChunkSplitter();
  private items: Item[] = [];
  private before: Item | undefined;
  private word: { start: number; end: number } | undefined;

  constructor(private readonly options: NormalizerOptions = {}) {}

  /** What became certain. */
  push(text: string): Piece[] {
    const chunks = this.splitter.push(text);
    // Nothing that was waited for has come.
    if (chunks.length === 0) return [];
    this.add(chunks);
    return this.speak(false);
  }

  /** The rest. */
  end(): Piece[] {
    this.add(this.splitter.end());
    return this.speak(true);
  }

  private add(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      const text = foldCharacters(chunk.text, this.options.skipped ?? (() => undefined));
      const span = { start: chunk.start, end: chunk.start + chunk.text.length };
      this.items.push(...itemsOf(text, chunk.after, span));
    }
  }

  private speak(ended: boolean): Piece[] {
    const pieces: Piece[] = [];
    let done = 0;
    while (done < this.items.length) {
      const reader = new Reader(this.items, done, ended, this.before);
      const speech = this.listed(this.items[done]) ?? RULES[this.items[done].kind](reader);
      if (reader.starved) break;
      if (this.items[done].after === 'paragraph') pieces.push({ kind: 'break' });
      const last = this.items[done + speech.take - 1];
      pieces.push(...this.spanned(speech.pieces, this.items[done].span.start, last.span.end));
      this.before = last;
      done += speech.take;
    }
    this.items = this.items.slice(done);
    return pieces;
  }

  /** Pieces with the word that they say: another of the word before where both come from one chunk. */
  private spanned(pieces: readonly Piece[], start: number, end: number): Piece[] {
    const says = ({ kind }: Piece) => kind === 'word' || kind === 'letters';
    if (!pieces.some(says)) return [...pieces];
    if (this.word && start < this.word.end) this.word.end = Math.max(this.word.end, end);
    else this.word = { start, end };
    const span: TextSpan = this.word;
    return pieces.map((piece) => (says(piece) ? { ...piece, span } : piece));
  }

  private listed(item: Item): Speech | undefined {
    const sound = item.kind === 'word' ? this.options.listed?.(item.text.toLowerCase()) : undefined;
    return sound === undefined ? undefined : { take: 1, pieces: [word(item.text, sound)] };
  }
}
