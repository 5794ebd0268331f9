import { splitSentences } from '../text/sentences.js';

/** What ends before a piece of text. */
export type Boundary = 'sentence' | 'clause' | 'word';

/** Some characters of a text that arrives over time. */
export interface Piece {
  text: string;
  /** Absent where the text begins, in the middle of a word, and for white space at the end of the text. */
  after?: Boundary;
  /** Where it begins in the whole text. */
  start: number;
}

/** A text without spaces counts as words of this length. */
export const MAX_WORD_CHARACTERS = 64;
/** What is looked at to see whether a sentence ends; a boundary does not depend on more. */
const SENTENCE_CHARACTERS = 400;
const CLAUSE_END = /[,;:)\u2013\u2014]["'\u201d\u2019]?$/;

/** A text in pieces, each of which knows what ended before it. How the text was cut on its way in does not matter. */
export class WrittenText {
  #text = '';
  #at = 0;
  /** Characters before `#text`. */
  #before = 0;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;
  #next: Piece | undefined;
  /** The sentence so far. */
  #sentence = '';
  #wordLength = 0;

  push(text: string): void {
    this.#text = this.#text.slice(this.#at) + text;
    this.#before += this.#at;
    this.#at = 0;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake?.();
  }

  /** The next piece, which stays the next until take(); waits for it, and is undefined at the end. */
  async peek(signal?: AbortSignal): Promise<Piece | undefined> {
    while (!(this.#next ??= this.#cut())) {
      signal?.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      if (this.#ended) return undefined;
      await this.#arrival(signal);
    }
    return this.#next;
  }

  take(): void {
    this.#next = undefined;
  }

  /** White space and as much of the word after it as is there. */
  #cut(): Piece | undefined {
    const pattern = /(\s*)(\S*)/y;
    const start = this.#before + this.#at;
    pattern.lastIndex = this.#at;
    const [, space = '', word = ''] = pattern.exec(this.#text) ?? [];
    if (word === '') {
      if (!this.#ended || space === '') return undefined;
      this.#at += space.length;
      return { text: space, start };
    }
    const after = this.#boundaryBefore(space, word);
    if (after) this.#wordLength = 0;
    const part = wholeCharacters(word, MAX_WORD_CHARACTERS - this.#wordLength);
    this.#wordLength += part.length;
    this.#at += space.length + part.length;
    this.#sentence = (this.#sentence + space + part).slice(-SENTENCE_CHARACTERS);
    return { text: space + part, after, start };
  }

  #boundaryBefore(space: string, word: string): Boundary | undefined {
    if (space === '') return this.#wordLength >= MAX_WORD_CHARACTERS ? 'word' : undefined;
    if (this.#sentence === '') return undefined; // white space before the text
    const [, ...next] = splitSentences(this.#sentence + space + wholeCharacters(word, 1));
    if (next.length > 0) {
      this.#sentence = '';
      return 'sentence';
    }
    return CLAUSE_END.test(this.#sentence) ? 'clause' : 'word';
  }

  #arrival(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal?.addEventListener('abort', wake);
    });
  }
}

/** The first `length` code units of a text, one more where that would cut a surrogate pair. */
function wholeCharacters(text: string, length: number): string {
  const code = text.charCodeAt(length - 1);
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? length + 1 : length);
}
