import { createTimeStretch } from '../audio/time-stretch.js';
import type { TextSpan } from '../text/front-end.js';
import { PauseSplitter, type Pause, type SaidText } from '../text/pauses.js';
import { speakText, type SpeechOptions, type SpeechParts } from './speech.js';
import type { SpokenUtterance } from './utterance-speaker.js';
import type { AlignedWord } from './word-aligner.js';

export interface PausedSpeechOptions extends Omit<SpeechOptions, 'onUtterance' | 'onWord' | 'mayBeSilent'> {
  /** 1.2 is a fifth faster; pauses keep their length. */
  rate: number;
  /** `pausedSeconds`: pauses before it. */
  onUtterance?: (utterance: SpokenUtterance, pausedSeconds: number) => void;
  /** The word's place is one in the text with its pauses. */
  onWord?: (word: AlignedWord, pausedSeconds: number) => void;
  /** Told each piece of the text as it is read. */
  onText?: (piece: string) => void;
}

/** Speaks a text with `[pause:SECONDS]` in it: what stands between two pauses as a text of its own, and silence between. */
export async function* speakWithPauses(
  parts: SpeechParts,
  text: string | AsyncIterable<string>,
  { rate, onUtterance, onWord, onText, ...options }: PausedSpeechOptions,
): AsyncGenerator<Float32Array, void> {
  const { sampleRate } = parts.codec;
  createTimeStretch(rate, sampleRate); // complains before anything is computed
  const source = new PausedText(text, { ...options, onText });
  let [frames, pausedSeconds, spoke] = [0, 0, false];
  try {
    for (;;) {
      const segment = await source.nextText();
      if (segment !== undefined) {
        const before = frames;
        const speech = speakText(parts, segment, {
          ...options,
          includePrompt: options.includePrompt && !spoke,
          maxFrames: options.maxFrames - before,
          mayBeSilent: true,
          onFrame: (latent) => {
            frames++;
            options.onFrame?.(latent);
          },
          onExpectation: (expected) => options.onExpectation?.(before + expected),
          onUtterance: (one) => {
            spoke = true;
            onUtterance?.({ ...one, start: before + one.start }, pausedSeconds);
          },
          onWord:
            onWord &&
            (({ word, start, end, ...one }) =>
              onWord({ ...one, word: source.placeOf(word), start: before + start, end: before + end }, pausedSeconds)),
        });
        yield* stretched(speech, rate, sampleRate);
      }
      const pause = frames < options.maxFrames ? await source.nextPause() : undefined;
      if (!pause) break;
      pausedSeconds += pause.seconds;
      const silence = new Float32Array(Math.round(pause.seconds * sampleRate));
      if (silence.length > 0) yield silence;
    }
    if (!spoke) throw new RangeError('text: expected something to say, got nothing that can be spoken');
  } finally {
    source.close();
  }
}

async function* stretched(speech: AsyncIterable<Float32Array>, rate: number, sampleRate: number) {
  const stretch = createTimeStretch(rate, sampleRate);
  for await (const samples of speech) {
    const certain = stretch.push(samples);
    if (certain.length > 0) yield certain;
  }
  const rest = stretch.flush();
  if (rest.length > 0) yield rest;
}

/** A text as what is said between pauses, and the pauses; each is read before the next is asked for. */
class PausedText {
  readonly #parts: (SaidText | Pause)[] = [];
  /** Where what is being said was cut from: of each part that does not go on from the one before, where it begins there and in the whole text. */
  #cuts: { at: number; start: number }[] = [];
  readonly #splitter: PauseSplitter;
  readonly #pieces: AsyncIterator<string> | undefined;
  #ended = false;
  #begun = false;

  constructor(
    text: string | AsyncIterable<string>,
    private readonly options: Pick<PausedSpeechOptions, 'signal' | 'onWarning' | 'onText'>,
  ) {
    this.#splitter = new PauseSplitter(options.onWarning);
    if (typeof text === 'string') {
      options.onText?.(text);
      this.#parts.push(...this.#splitter.push(text), ...this.#splitter.end());
      this.#ended = true;
    } else this.#pieces = text[Symbol.asyncIterator]();
  }

  /** What is said up to the next pause, as it arrives; undefined where that is nothing. */
  async nextText(): Promise<string | AsyncIterable<string> | undefined> {
    this.#cuts = [];
    let lead = '';
    for (;;) {
      const part = await this.#peek();
      if (!part || !('said' in part)) break;
      lead = this.#joined(lead, part);
      if (lead.trim() === '') continue;
      this.#begun = true;
      return this.#pieces ? this.#restOf(lead) : this.#wholeOf(lead);
    }
    this.#begun = true;
    return undefined;
  }

  /** What a span of the text that nextText() gave last is in the whole text. */
  placeOf({ start, end }: TextSpan): TextSpan {
    const moved = (at: number) => {
      const cut = this.#cuts.findLast((one) => one.at <= at) ?? { at: 0, start: 0 };
      return at - cut.at + cut.start;
    };
    return { start: moved(start), end: moved(end - 1) + 1 };
  }

  /** The pause that the text has come to; undefined at its end. What is left of the text before it is passed over. */
  async nextPause(): Promise<Pause | undefined> {
    for (;;) {
      const part = await this.#peek();
      this.#parts.shift();
      if (!part || !('said' in part)) return part;
    }
  }

  close(): void {
    if (!this.#ended) void this.#pieces?.return?.()?.catch(() => undefined);
  }

  #wholeOf(lead: string): string {
    let text = lead;
    for (let part = this.#parts[0]; part && 'said' in part; part = this.#parts[0]) text = this.#joined(text, part);
    return text;
  }

  async *#restOf(lead: string): AsyncGenerator<string> {
    yield lead;
    for (let length = lead.length; ;) {
      const part = await this.#peek();
      if (!part || !('said' in part)) return;
      this.#cut(length, part.start);
      length += part.said.length;
      this.#parts.shift();
      yield part.said;
    }
  }

  /** Takes the next part, and adds it to a text; the space after a pause belongs to the pause. */
  #joined(text: string, { said, start }: SaidText): string {
    const more = this.#begun && text.trim() === '' ? said.trimStart() : said;
    const kept = more === said ? text : '';
    this.#cut(kept.length, start + said.length - more.length);
    this.#parts.shift();
    return kept + more;
  }

  #cut(at: number, start: number): void {
    const last = this.#cuts.at(-1);
    if (!last || last.start - last.at !== start - at) this.#cuts.push({ at, start });
  }

  async #peek(): Promise<SaidText | Pause | undefined> {
    while (this.#parts.length === 0 && !this.#ended && this.#pieces) {
      const { value, done } = await untilAborted(this.#pieces.next(), this.options.signal);
      if (done) this.#ended = true;
      else if (typeof value !== 'string')
        throw new TypeError(`text: expected pieces of type string, got ${typeof value}`);
      else this.options.onText?.(value);
      this.#parts.push(...(done ? this.#splitter.end() : this.#splitter.push(value)));
    }
    return this.#parts[0];
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
