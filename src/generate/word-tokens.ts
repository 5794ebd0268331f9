import type { TextFrontEnd, TextSpan, TextStream } from '../text/front-end.js';
import type { Utterance } from './utterances.js';
import { MAX_WORD_CHARACTERS, type Boundary, type WrittenText } from './written-text.js';

/** How many tokens an utterance may have before it ends at a boundary of a kind. */
export type Limits = Record<Boundary, number>;

/** An utterance that reads its words when its tokens are asked for, and ends where its limits say. */
export class WordTokens implements Utterance {
  readonly #words: WrittenText;
  readonly #limits: Limits;
  readonly #stream: TextStream;
  readonly #ids: number[];
  #tokens = 0;
  #ended = false;
  #text = '';
  /** Where `#text` begins in the whole text. */
  #start = 0;
  /** The word of each id, where the front end has it: after the lead. */
  readonly #spans: (TextSpan | undefined)[] = [];
  /** How much the front end has read, and up to where it gave tokens: it keeps a word until it ends. */
  #read = 0;
  #given = 0;
  /** Tokens of the prompt that no later word changes, the start token included. */
  readonly certain: number;

  /** `lead` is said before the words and no part of `text`: a prompt's text and a space. */
  constructor(
    words: WrittenText,
    frontEnd: TextFrontEnd,
    private readonly lead: string,
    limits: Limits,
  ) {
    this.#words = words;
    this.#limits = limits;
    this.#stream = frontEnd.createStream();
    this.#ids = this.#stream.push(lead);
    this.#spans.push(...this.#stream.words);
    this.#read = this.#given = lead.length;
    this.certain = this.#ids.length;
  }

  /** What was read of the text. */
  get text(): string {
    return this.#text;
  }

  async read(count: number, signal?: AbortSignal): Promise<{ ids: number[]; ended: boolean }> {
    while (!this.#ended && this.#ids.length < count) {
      const piece = await this.#words.peek(signal);
      if (!piece || this.#endsBefore(piece.after)) {
        this.#take(this.#stream.end());
        this.#ended = true;
      } else {
        this.#words.take();
        const text = this.#text === '' && piece.after ? piece.text.trimStart() : piece.text;
        if (this.#text === '') this.#start = piece.start + piece.text.length - text.length;
        this.#text += text;
        this.#read += text.length;
        this.#take(this.#stream.push(text));
      }
    }
    const ids = this.#ids.splice(0, Math.min(count, this.#ids.length));
    return { ids, ended: this.#ended && this.#ids.length === 0 };
  }

  wordOf(index: number): TextSpan | undefined {
    const span = this.#spans[index];
    if (!span || span.start < this.lead.length) return undefined;
    const moved = this.#start - this.lead.length;
    return { start: span.start + moved, end: span.end + moved };
  }

  #endsBefore(after: Boundary | undefined): boolean {
    if (after === undefined || this.#text === '') return false;
    const held = this.#read - this.#given;
    const tokens = this.#tokens + (held >= MAX_WORD_CHARACTERS ? held : 0);
    return tokens > 0 && tokens >= this.#limits[after];
  }

  #take(ids: readonly number[]): void {
    const { words } = this.#stream;
    for (const word of words) if (word) this.#given = Math.max(this.#given, word.end);
    this.#tokens += ids.length;
    this.#ids.push(...ids);
    this.#spans.push(...words);
  }
}
