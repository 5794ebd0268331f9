import { loadVoice, type LoadVoiceOptions } from './generate/load-voice.js';
import { checkParts, speakText, type SpeechParts } from './generate/speech.js';
import { checkSeed, scaledNoise, TorchRandom } from './generate/torch-random.js';
import type { SledConfig } from './model/config.js';
import { resolveModel } from './generate/resolve-model.js';

/** What and how to load. */
export interface LoadOptions extends LoadVoiceOptions {
  /**
   * A directory with `config.json`, `model.safetensors` and `codec/`, the name of a shipped voice (the default is the first),
   * or a hub id, `ORG/NAME` or `ORG/NAME@REVISION`, which is fetched into the cache of Hugging Face's tools.
   */
  model?: string;
}

/** How far speaking is. */
export interface SpeakProgress {
  /** Frames drawn so far. */
  frames: number;
  /** Estimate in [0, 1]; absent while the text is still being written. */
  fraction?: number;
}

/** How a text is spoken. */
export interface SpeakOptions {
  /** Another seed is another reading; the same one gives the same samples (default 0). */
  seed?: number;
  /** How closely the text is followed; 1 costs half of anything else (default: the voice's own). */
  guidanceScale?: number;
  /** Deviation of the noise that frames are drawn with: lower is calmer and clearer, 0 always the same (default: the voice's own). */
  temperature?: number;
  /** Most latent frames to speak. */
  maxFrames?: number;
  /** The same limit in seconds. */
  maxSeconds?: number;
  signal?: AbortSignal;
  onProgress?: (progress: SpeakProgress) => void;
}

/** A text spoken as a whole. */
export interface Speech {
  /** Mono samples [N] in [-1, 1]. */
  samples: Float32Array;
  sampleRate: number;
  /** T */
  frames: number;
  /** What the network drew, [T, D]. */
  latents: Float32Array;
}

const DEFAULT_SEED = 0;

/** A loaded voice. It speaks any number of texts at once: their steps are computed together. */
export class SledTts {
  readonly config: SledConfig;
  /** Samples a second. */
  readonly sampleRate: number;
  /** Latent frames a second. */
  readonly frameRate: number;
  readonly #parts: SpeechParts;
  readonly #onWarning: ((message: string) => void) | undefined;

  /** For voices put together by hand; others come from SledTts.load(). Takes ownership of session and codec. */
  constructor(parts: SpeechParts, options: { onWarning?: (message: string) => void } = {}) {
    const { config, codec } = parts;
    checkParts(parts);
    this.#parts = parts;
    this.#onWarning = options.onWarning;
    this.config = config;
    this.sampleRate = codec.sampleRate;
    this.frameRate = codec.sampleRate / codec.hopLength;
  }

  /**
   * Loads a voice.
   * @throws {CheckpointError} for a model that is missing, truncated, or does not fit its config, listing all that is wrong.
   * @throws {HubError} for one that the hub does not give.
   */
  static async load(options: LoadOptions = {}): Promise<SledTts> {
    const { model, ...rest } = options;
    const directory = await resolveModel(model, { ...rest, kind: 'model' });
    return new SledTts(await loadVoice(directory, rest), rest);
  }

  /** Speaks a whole text. @throws {RangeError} for an empty text or an option out of range. */
  async generate(text: string, options: SpeakOptions = {}): Promise<Speech> {
    const [chunks, frames]: [Float32Array[], Float32Array[]] = [[], []];
    for await (const chunk of this.#speak(text, options, (latent) => frames.push(latent))) chunks.push(chunk);
    return { samples: join(chunks), sampleRate: this.sampleRate, frames: frames.length, latents: join(frames) };
  }

  /**
   * Speaks a text that may still be written: yields mono samples [N] as they exist, the same ones as generate().
   * Nothing is computed after an abort, which throws the signal's reason, nor after the reader leaves.
   * @throws {RangeError} for an empty text or an option out of range.
   */
  async *stream(text: string | AsyncIterable<string>, options: SpeakOptions = {}): AsyncGenerator<Float32Array, void> {
    yield* this.#speak(text, options, () => undefined);
  }

  /** Stops all streams and frees the voice. */
  async free(): Promise<void> {
    await this.#parts.session.free();
    this.#parts.codec.free();
  }

  async *#speak(
    text: string | AsyncIterable<string>,
    options: SpeakOptions,
    onFrame: (latent: Float32Array) => void,
  ): AsyncGenerator<Float32Array, void> {
    const { seed = DEFAULT_SEED, onProgress } = options;
    const { guidanceScale = this.config.guidanceScale, temperature = this.config.temperature } = options;
    checkText(text);
    checkSeed(seed);
    checkScale('guidanceScale', guidanceScale);
    checkScale('temperature', temperature);
    let expected: number | undefined;
    let frames = 0;
    yield* speakText(this.#parts, text, {
      noise: scaledNoise(new TorchRandom(seed), temperature),
      guidanceScale,
      maxFrames: maxFramesOf(options, this.frameRate),
      signal: options.signal ?? new AbortController().signal,
      onWarning: this.#onWarning,
      onExpectation: (frames) => (expected = frames),
      onFrame: (latent) => {
        frames++;
        onFrame(latent);
        onProgress?.({ frames, fraction: expected && Math.min(frames / expected, 1) });
      },
    });
  }
}

function checkScale(name: string, value: number): void {
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name}: expected a number from 0, got ${value}`);
}

function checkText(text: unknown): void {
  if (typeof text === 'string') {
    if (text.trim() === '') throw new RangeError('text: expected something to say, got nothing');
  } else if (typeof (text as AsyncIterable<string> | null)?.[Symbol.asyncIterator] !== 'function')
    throw new TypeError(
      `text: expected a string or an AsyncIterable of strings, got ${text === null ? 'null' : typeof text}`,
    );
}

function maxFramesOf({ maxFrames = Infinity, maxSeconds = Infinity }: SpeakOptions, frameRate: number): number {
  if (!(maxFrames === Infinity || Number.isInteger(maxFrames)) || maxFrames < 1)
    throw new RangeError(`maxFrames: expected a positive integer, got ${maxFrames}`);
  if (!(maxSeconds > 0)) throw new RangeError(`maxSeconds: expected a positive number, got ${maxSeconds}`);
  return Math.min(maxFrames, Math.ceil(maxSeconds * frameRate));
}

function join(arrays: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const array of arrays) {
    whole.set(array, filled);
    filled += array.length;
  }
  return whole;
}
