import type { SledConfig } from '../model/config.js';
import { phonemeId } from '../text/alphabet.js';
import type { TextFrontEnd, TextSpan, TextStream } from '../text/front-end.js';
import { Channel } from './channel.js';
import { roomAfter, tooLong, type Prompt } from './prompt.js';
import { TokenQueue } from './token-source.js';
import type { Utterance, UtteranceWriter } from './utterances.js';

const ids = (...phonemes: string[]) => new Set(phonemes.map(phonemeId));
const SENTENCE_ENDS = ids('.', '!', '?');
const CLAUSE_ENDS = ids(',', ';', ':', '—');
const SPACE = phonemeId(' ');

/** Positions that a token takes in all: its own, and those of the frames that slow speech needs for it. */
const POSITIONS_PER_TOKEN = 4;
/** Fewer tokens than a few words have are not worth an utterance. */
const SHORTEST_UTTERANCE = 24;
/** From which share of the longest utterance on it ends at a clause, at a word, and anywhere. */
const CLAUSE_SHARE = 0.8;
const ANYWHERE_SHARE = 1.25;

/** The ids of an utterance, and the word of each: both grow while it is being written. */
interface Written {
  readonly queue: TokenQueue;
  readonly words: (TextSpan | undefined)[];
}

/** An utterance whose first ids are a prompt's. */
class LedTokens implements Utterance {
  readonly text = '';
  readonly certain: number;
  readonly #lead: number[];

  constructor(
    lead: readonly number[],
    private readonly written: Written,
  ) {
    this.#lead = [...lead];
    this.certain = lead.length;
  }

  wordOf(index: number): TextSpan | undefined {
    return this.written.words[index - this.certain];
  }

  async read(count: number, signal?: AbortSignal): Promise<{ ids: number[]; ended: boolean }> {
    const lead = this.#lead.splice(0, Math.min(count, this.#lead.length));
    const { ids, ended } = await this.written.queue.read(count - lead.length, signal);
    return { ids: [...lead, ...ids], ended };
  }
}

/** Utterances of phonemes: a voice that learned single sentences speaks them one by one. Too long ones are cut at clauses or words. */
export class PhonemeUtterances implements UtteranceWriter {
  readonly continuous = false;
  /** Ids so far. */
  tokens: number | undefined;
  readonly #utterances = new Channel<Written>();
  readonly #queues = this.#utterances[Symbol.asyncIterator]();
  readonly #stream: TextStream;
  readonly #longest: number;
  #current: Written | undefined;
  #length = 0;
  #begun = false;

  constructor(
    private readonly frontEnd: TextFrontEnd,
    private readonly config: SledConfig,
    { whole, prompt }: { whole: string | undefined; prompt?: Prompt },
  ) {
    this.#stream = frontEnd.createStream();
    if (prompt && !this.fits(prompt)) throw tooLong(prompt, this.#roomAfter(prompt), config);
    this.#longest = this.#roomAfter(prompt) / POSITIONS_PER_TOKEN;
    if (whole !== undefined) this.tokens = 0;
  }

  async next(prompt: Prompt | undefined): Promise<Utterance | undefined> {
    const { value, done } = await this.#queues.next();
    return done ? undefined : new LedTokens(this.#leadOf(prompt), value);
  }

  push(text: string): void {
    this.#takeAll(this.#stream.push(text), this.#stream.words);
  }

  end(): void {
    this.#takeAll(this.#stream.end().slice(0, -1), this.#stream.words);
    this.#endUtterance();
    this.#utterances.close();
  }

  fail(error: unknown): void {
    this.#current?.queue.fail(error);
    this.#utterances.fail(error);
  }

  /** The start id, and the prompt's ids with a space. */
  #leadOf(prompt: Prompt | undefined): number[] {
    const { bosId } = this.config;
    const said = prompt?.text ? this.frontEnd.encode(prompt.text).slice(1, -1) : [];
    return said.length > 0 ? [bosId, ...said, SPACE] : [bosId];
  }

  fits(prompt: Prompt): boolean {
    return this.#roomAfter(prompt) / POSITIONS_PER_TOKEN >= SHORTEST_UTTERANCE;
  }

  #roomAfter(prompt: Prompt | undefined): number {
    return roomAfter(prompt, this.#leadOf(prompt).length, this.config);
  }

  /** The text's own start and end ids are left out: every utterance gets its own. */
  #takeAll(ids: readonly number[], words: TextStream['words']): void {
    const first = this.#begun ? 0 : 1;
    if (ids.length > 0) this.#begun = true;
    if (this.tokens !== undefined) this.tokens += Math.max(0, ids.length - first);
    for (let i = first; i < ids.length; i++) this.#take(ids[i], words[i]);
  }

  #take(id: number, word: TextSpan | undefined): void {
    if (!this.#current) {
      if (id === SPACE) return;
      this.#current = { queue: new TokenQueue(), words: [] };
      this.#length = 0;
      void this.#utterances.push(this.#current);
    }
    this.#current.words.push(word);
    this.#current.queue.push([id]);
    this.#length++;
    if (this.#endsWith(id)) this.#endUtterance();
  }

  #endUtterance(): void {
    this.#current?.queue.end([this.config.eosId]);
    this.#current = undefined;
  }

  #endsWith(id: number): boolean {
    if (SENTENCE_ENDS.has(id)) return true;
    const share = this.#length / this.#longest;
    return (share >= CLAUSE_SHARE && CLAUSE_ENDS.has(id)) || (share >= 1 && id === SPACE) || share >= ANYWHERE_SHARE;
  }
}
