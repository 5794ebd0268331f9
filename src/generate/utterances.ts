import type { SledConfig } from '../model/config.js';
import type { TextFrontEnd, TextSpan } from '../text/front-end.js';
import { PhonemeUtterances } from './phoneme-utterances.js';
import type { Prompt } from './prompt.js';
import type { TokenSource } from './token-source.js';
import { WrittenUtterances } from './written-utterances.js';

/** What is spoken as one sequence: its ids begin with the start id and end with the end id. */
export interface Utterance extends TokenSource {
  /** How many ids, from the first on, the prompt alone decides. */
  readonly certain: number;
  /** What was read of the text; '' where ids come without their text. */
  readonly text: string;
  /** The word that an id which was read says, in the text of all utterances; undefined for a prompt's and for what is no word's. */
  wordOf(index: number): TextSpan | undefined;
}

/** A text as utterances. */
export interface Utterances {
  /** Ids of the whole text, where it was given as a whole. */
  readonly tokens: number | undefined;
  /** Whether each utterance goes on from the one before, in voice and in sound; else each stands alone. */
  readonly continuous: boolean;
  /** Whether a prompt leaves room for some text of its own. */
  fits(prompt: Prompt): boolean;
  /** The next utterance, to be spoken after a prompt; undefined at the end. @throws {RangeError} for a prompt that does not fit. */
  next(prompt: Prompt | undefined): Promise<Utterance | undefined>;
}

/** A text that utterances are cut from: takes pieces while it is being written. */
export interface UtteranceWriter extends Utterances {
  push(text: string): void;
  end(): void;
  fail(error: unknown): void;
}

/**
 * A text as utterances, each readable while it is still being written. The ids do not depend on how the text was cut on its
 * way in. An error of the text's writer reaches whoever reads; nothing is read after an abort.
 */
export function utterancesOf(
  text: string | AsyncIterable<string>,
  frontEnd: TextFrontEnd,
  config: SledConfig,
  options: { signal: AbortSignal; frameRate: number; prompt?: Prompt },
): Utterances {
  const whole = typeof text === 'string' ? text : undefined;
  const writer: UtteranceWriter =
    config.text === 'bpe'
      ? new WrittenUtterances(frontEnd, config, { ...options, whole })
      : new PhonemeUtterances(frontEnd, config, { ...options, whole });
  if (typeof text === 'string') {
    writer.push(text);
    writer.end();
  } else
    void readText(text, options.signal, (piece) => writer.push(piece))
      .then(() => writer.end())
      .catch((error) => writer.fail(error));
  return writer;
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
