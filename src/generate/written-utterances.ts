import { isInterleaved, type SledConfig } from '../model/config.js';
import type { TextFrontEnd } from '../text/front-end.js';
import { roomAfter, tooLong, type Prompt } from './prompt.js';
import { expectedFrames } from './speaking-rate.js';
import type { Utterance, UtteranceWriter } from './utterances.js';
import { WordTokens, type Limits } from './word-tokens.js';
import { WrittenText } from './written-text.js';

/** Slow speech takes this many times the usual frames. */
const SLOWNESS = 1.5;
/** Fewer tokens than a clause has are not worth an utterance. */
const SHORTEST_UTTERANCE = 8;
/** From which share of what surely fits on the end of a sentence, a clause or a word is the end of the utterance. */
const SHARES: Limits = { sentence: 1, clause: 1.1, word: 1.2 };
/** For a model that needs its whole text first: it is to end earlier rather than inside a sentence. */
const OFFLINE_SHARES: Limits = { sentence: 0.6, clause: 0.8, word: 1 };
/** Surely more characters than a token has on average. */
const CHARACTERS_PER_TOKEN = 16;

/**
 * Utterances of byte-level tokens, cut from the text itself. What fits into the network's positions is one utterance, as the
 * released code has it, but for a text that an offline model is to speak while it is still being written: there each sentence is
 * one, certain when the next begins. What does not fit is cut at sentences, clauses or words. An interleaved model's text is cut
 * by what has been read of it alone, so that a text is cut alike as a whole and while it is being written.
 */
export class WrittenUtterances implements UtteranceWriter {
  readonly tokens: number | undefined;
  readonly continuous = true;
  readonly #words = new WrittenText();

  constructor(
    private readonly frontEnd: TextFrontEnd,
    private readonly config: SledConfig,
    private readonly options: { whole: string | undefined; signal: AbortSignal; frameRate: number },
  ) {
    if (options.whole !== undefined) this.tokens = frontEnd.encode(options.whole).length;
  }

  push(text: string): void {
    this.#words.push(text);
  }

  end(): void {
    this.#words.end();
  }

  fail(error: unknown): void {
    this.#words.fail(error);
  }

  async next(prompt: Prompt | undefined): Promise<Utterance | undefined> {
    for (;;) {
      const piece = await this.#words.peek(this.options.signal);
      if (!piece) return undefined;
      if (piece.text.trim() !== '') break;
      this.#words.take();
    }
    const room = this.#roomAfter(prompt);
    if (prompt && !this.fits(prompt)) throw tooLong(prompt, room, this.config);
    return new WordTokens(this.#words, this.frontEnd, leadOf(prompt), this.#limits(this.#tokensIn(room)));
  }

  fits(prompt: Prompt): boolean {
    return this.#tokensIn(this.#roomAfter(prompt)) >= SHORTEST_UTTERANCE;
  }

  #roomAfter(prompt: Prompt | undefined): number {
    return roomAfter(prompt, this.frontEnd.encode(leadOf(prompt)).length, this.config);
  }

  /** Tokens that have room, even slowly spoken. */
  #tokensIn(room: number): number {
    return Math.floor(room / (1 + SLOWNESS * expectedFrames(1, this.config.text, this.options.frameRate)));
  }

  #limits(longest: number): Limits {
    if (isInterleaved(this.config)) return scaled(SHARES, longest);
    const { whole } = this.options;
    if (whole === undefined) return { ...scaled(OFFLINE_SHARES, longest), sentence: 0 };
    const fits = whole.length < longest * CHARACTERS_PER_TOKEN && (this.tokens ?? 0) <= longest;
    return scaled(OFFLINE_SHARES, fits ? Infinity : longest);
  }
}

const scaled = ({ sentence, clause, word }: Limits, longest: number): Limits => ({
  sentence: sentence * longest,
  clause: clause * longest,
  word: word * longest,
});

/** What is said before an utterance. */
const leadOf = (prompt: Prompt | undefined) => (prompt?.text ? `${prompt.text} ` : '');
