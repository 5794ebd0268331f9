import { createTimeStretch } from '../audio/time-stretch.js';
import { PauseSplitter, type Pause } from '../text/pauses.js';
import { speakText, type SpeechOptions, type SpeechParts } from './speech.js';
import type { SpokenUtterance } from './utterance-speaker.js';

export interface PausedSpeechOptions extends Omit<SpeechOptions, 'onUtterance' | 'mayBeSilent'> {
  /** 1.2 is a fifth faster; pauses keep their length. */
  rate: number;
  /** `pausedSeconds`: pauses before it. */
  onUtterance?: (utterance: SpokenUtterance, pausedSeconds: number) => void;
}

/** Speaks a text with `[pause:SECONDS]` in it: what stands between two pauses as a text of its own, and silence between. */
export async function* speakWithPauses(
  parts: SpeechParts,
  text: string | AsyncIterable<string>,
  { rate, onUtterance, ...options }: PausedSpeechOptions,
): AsyncGenerator<Float32Array, void> {
  const { sampleRate } = parts.codec;
  createTimeStretch(rate, sampleRate); // complains before anything is computed
  const source = new PausedText(text, options.signal, options.onWarning);
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
  readonly #parts: (string | Pause)[] = [];
  readonly #splitter: PauseSplitter;
  readonly #pieces: AsyncIterator<string> | undefined;
  #ended = false;
  #begun = false;

  constructor(
    text: string | AsyncIterable<string>,
    private readonly signal: AbortSignal,
    onWarning?: (message: string) => void,
  ) {
    this.#splitter = new PauseSplitter(onWarning);
    if (typeof text === 'string') {
      this.#parts.push(...this.#splitter.push(text), ...this.#splitter.end());
      this.#ended = true;
    } else this.#pieces = text[Symbol.asyncIterator]();
  }

  /** What is said up to the next pause, as it arrives; undefined where that is nothing. */
  async nextText(): Promise<string | AsyncIterable<string> | undefined> {
    let lead = '';
    for (;;) {
      const part = await this.#peek();
      if (typeof part !== 'string') break;
      lead += part;
      this.#parts.shift();
      if (lead.trim() === '') continue;
      if (this.#begun) lead = lead.trimStart(); // the space after a pause belongs to it
      this.#begun = true;
      return this.#pieces ? this.#restOf(lead) : this.#wholeOf(lead);
    }
    this.#begun = true;
    return undefined;
  }

  /** The pause that the text has come to; undefined at its end. What is left of the text before it is passed over. */
  async nextPause(): Promise<Pause | undefined> {
    for (;;) {
      const part = await this.#peek();
      this.#parts.shift();
      if (typeof part !== 'string') return part;
    }
  }

  close(): void {
    if (!this.#ended) void this.#pieces?.return?.()?.catch(() => undefined);
  }

  #wholeOf(lead: string): string {
    let text = lead;
    for (let part = this.#parts[0]; typeof part === 'string'; part = this.#parts[0]) {
      text += part;
      this.#parts.shift();
    }
    return text;
  }

  async *#restOf(lead: string): AsyncGenerator<string> {
    yield lead;
    for (;;) {
      const part = await this.#peek();
      if (typeof part !== 'string') return;
      this.#parts.shift();
      yield part;
    }
  }

  async #peek(): Promise<string | Pause | undefined> {
    while (this.#parts.length === 0 && !this.#ended && this.#pieces) {
      const { value, done } = await untilAborted(this.#pieces.next(), this.signal);
      if (done) this.#ended = true;
      else if (typeof value !== 'string')
        throw new TypeError(`text: expected pieces of type string, got ${typeof value}`);
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
