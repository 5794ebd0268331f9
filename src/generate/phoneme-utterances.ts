import type { SledConfig } from '../model/config.js';
import { phonemeId } from '../text/alphabet.js';
import type { TextFrontEnd, TextStream } from '../text/front-end.js';
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

/** An utterance whose first ids are a prompt's. */
class LedTokens implements Utterance {
  readonly text = '';
  readonly certain: number;
  readonly #lead: number[];

  constructor(
    lead: readonly number[],
    private readonly queue: TokenQueue,
  ) {
    this.#lead = [...lead];
    this.certain = lead.length;
  }

  async read(count: number, signal?: AbortSignal): Promise<{ ids: number[]; ended: boolean }> {
    const lead = this.#lead.splice(0, Math.min(count, this.#lead.length));
    const { ids, ended } = await this.queue.read(count - lead.length, signal);
    return { ids: [...lead, ...ids], ended };
  }
}

/** Utterances of phonemes: a voice that learned single sentences speaks them one by one. Too long ones are cut at clauses or words. */
export class PhonemeUtterances implements UtteranceWriter {
  readonly continuous = false;
  /** Ids so far. */
  tokens: number | undefined;
  readonly #utterances = new Channel<TokenQueue>();
  readonly #queues = this.#utterances[Symbol.asyncIterator]();
  readonly #stream: TextStream;
  readonly #longest: number;
  #current: TokenQueue | undefined;
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
    this.#takeAll(this.#stream.push(text));
  }

  end(): void {
    this.#takeAll(this.#stream.end().slice(0, -1));
    this.#endUtterance();
    this.#utterances.close();
  }

  fail(error: unknown): void {
    this.#current?.fail(error);
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
  #takeAll(ids: readonly number[]): void {
    const body = this.#begun ? ids : ids.slice(1);
    if (ids.length > 0) this.#begun = true;
    if (this.tokens !== undefined) this.tokens += body.length;
    for (const id of body) this.#take(id);
  }

  #take(id: number): void {
    if (!this.#current) {
      if (id === SPACE) return;
      this.#current = new TokenQueue();
      this.#length = 0;
      void this.#utterances.push(this.#current);
    }
    this.#current.push([id]);
    this.#length++;
    if (this.#endsWith(id)) this.#endUtterance();
  }

  #endUtterance(): void {
    this.#current?.end([this.config.eosId]);
    this.#current = undefined;
  }

  #endsWith(id: number): boolean {
    if (SENTENCE_ENDS.has(id)) return true;
    const share = this.#length / this.#longest;
    return (share >= CLAUSE_SHARE && CLAUSE_ENDS.has(id)) || (share >= 1 && id === SPACE) || share >= ANYWHERE_SHARE;
  }
}
