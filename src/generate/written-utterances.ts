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
/** From which share of the longest utterance on a sentence's or a clause's end is the end of the utterance. */
const SENTENCE_SHARE = 0.6;
const CLAUSE_SHARE = 0.8;
/** Surely more characters than a token has on average. */
const CHARACTERS_PER_TOKEN = 16;

/**
 * Utterances of byte-level tokens, cut from the text itself. What fits into the network's positions is one utterance, as the
 * released code has it, but for a text that an offline model is to speak while it is still being written: there each sentence is
 * one, certain when the next begins. What does not fit is cut at sentences, clauses or words.
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
    const { whole } = this.options;
    if (whole !== undefined && whole.length < longest * CHARACTERS_PER_TOKEN && (this.tokens ?? 0) <= longest)
      return { sentence: Infinity, clause: Infinity, word: Infinity };
    const sentence = isInterleaved(this.config) ? SENTENCE_SHARE * longest : 0;
    return { sentence, clause: CLAUSE_SHARE * longest, word: longest };
  }
}

/** What is said before an utterance. */
const leadOf = (prompt: Prompt | undefined) => (prompt?.text ? `${prompt.text} ` : '');
