import type { SledConfig, TextKind } from '../model/config.js';
import { phonemeId } from '../text/alphabet.js';
import type { TextFrontEnd } from '../text/front-end.js';
import { Channel } from './channel.js';
import { TokenQueue } from './token-source.js';

/** Where a text may be cut: a voice that learned single sentences speaks them one by one. */
interface CutRules {
  /** Ids after which an utterance is over. */
  sentenceEnds: ReadonlySet<number>;
  /** Ids after which a sentence that has become too long is cut. */
  clauseEnds: ReadonlySet<number>;
  /** Stands between words and begins no utterance. */
  space: number;
}

const ids = (...phonemes: string[]) => new Set(phonemes.map(phonemeId));

/** A byte-level token says too little about sentences: such a text is one utterance, as the released code has it. */
const CUT_RULES: Partial<Record<TextKind, CutRules>> = {
  'phonemes-en': { sentenceEnds: ids('.', '!', '?'), clauseEnds: ids(',', ';', ':', '—'), space: phonemeId(' ') },
};

/** Positions that a token takes in all: its own, and those of the frames that slow speech needs for it. */
const POSITIONS_PER_TOKEN = 4;

/** Ids in, utterances out: each a token queue that begins with the start id and ends with the end id. */
class UtteranceCutter {
  readonly #rules: CutRules | undefined;
  readonly #longest: number;
  #current: TokenQueue | undefined;
  #length = 0;

  constructor(
    private readonly config: SledConfig,
    private readonly begin: (utterance: TokenQueue) => void,
  ) {
    this.#rules = CUT_RULES[config.text];
    this.#longest = config.maxPositions / POSITIONS_PER_TOKEN;
  }

  /** The text's own start and end ids are left out: every utterance gets its own. */
  push(id: number): void {
    if (!this.#current) {
      if (id === this.#rules?.space) return;
      this.#current = new TokenQueue();
      this.#current.push([this.config.bosId]);
      this.#length = 0;
      this.begin(this.#current);
    }
    this.#current.push([id]);
    this.#length++;
    if (this.#endsWith(id)) this.end();
  }

  end(): void {
    this.#current?.end([this.config.eosId]);
    this.#current = undefined;
  }

  fail(error: unknown): void {
    this.#current?.fail(error);
  }

  #endsWith(id: number): boolean {
    if (!this.#rules) return false;
    const { sentenceEnds, clauseEnds, space } = this.#rules;
    if (sentenceEnds.has(id)) return true;
    const tooLong = this.#length / this.#longest;
    return (tooLong >= 0.8 && clauseEnds.has(id)) || (tooLong >= 1 && id === space);
  }
}

export interface Utterances {
  utterances: AsyncIterable<TokenQueue>;
  /** Ids of the whole text, where it was given as a whole. */
  tokens: number | undefined;
}

/**
 * A text as utterances, each readable while it is still being written. The ids do not depend on how the text was cut on its
 * way in. An error of the text's writer reaches whoever reads; nothing is read after an abort.
 */
export function utterancesOf(
  text: string | AsyncIterable<string>,
  frontEnd: TextFrontEnd,
  config: SledConfig,
  signal: AbortSignal,
): Utterances {
  const channel = new Channel<TokenQueue>();
  const cutter = new UtteranceCutter(config, (utterance) => void channel.push(utterance));
  const stream = frontEnd.createStream();
  let [first, tokens] = [true, 0];
  const take = (ids: readonly number[]) => {
    const body = first ? ids.slice(1) : ids;
    if (ids.length > 0) first = false;
    tokens += body.length;
    for (const id of body) cutter.push(id);
  };
  const finish = () => {
    take(stream.end().slice(0, -1));
    cutter.end();
    channel.close();
  };
  const fail = (error: unknown) => {
    cutter.fail(error);
    channel.fail(error);
  };
  if (typeof text === 'string') {
    take(stream.push(text));
    finish();
  } else
    void readText(text, signal, (piece) => take(stream.push(piece)))
      .then(finish)
      .catch(fail);
  return { utterances: channel, tokens: typeof text === 'string' ? tokens : undefined };
}

async function readText(text: AsyncIterable<string>, signal: AbortSignal, take: (piece: string) => void) {
  const pieces = text[Symbol.asyncIterator]();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  aborted.catch(() => undefined); // a writer may end before the abort
  try {
    for (;;) {
      signal.throwIfAborted();
      const { value, done } = await Promise.race([pieces.next(), aborted]);
      if (done) return;
      if (typeof value !== 'string') throw new TypeError(`text: expected pieces of type string, got ${typeof value}`);
      take(value);
    }
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
    if (signal.aborted) void pieces.return?.();
  }
}
