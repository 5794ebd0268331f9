import { loadVoice, type LoadVoiceOptions } from './generate/load-voice.js';
import { speakWithPauses } from './generate/paused-speech.js';
import { checkParts, type SpeechParts } from './generate/speech.js';
import { sharedNoise } from './generate/shared-noise.js';
import { scaledNoise, TorchRandom, type NoiseSource } from './generate/torch-random.js';
import type { SpokenUtterance } from './generate/utterance-speaker.js';
import { checkCodec, checkPrompt, Voice } from './generate/voice.js';
import { joined, type Prompt } from './generate/prompt.js';
import type { Audio } from './audio/audio.js';
import { describeMissing, setLoudness } from './audio/loudness.js';
import { resample } from './audio/resample.js';
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
  /** What to go on from: a voice, or recorded latents and their text. A voice is computed once and used again. */
  prompt?: Prompt;
  /** Whether the sound begins with the prompt's, made again from its latents. */
  includePrompt?: boolean;
  /** How fast: 1.2 is a fifth faster, at the same pitch (0.5 to 2; default 1). A `[pause:0.5]` in the text keeps its length. */
  rate?: number;
  /** Loudness of generate()'s samples, LUFS, such as -16; left as it is where a peak would clip. No stream can know its own. */
  loudness?: number;
  /** Most latent frames to speak. */
  maxFrames?: number;
  /** The same limit in seconds. */
  maxSeconds?: number;
  signal?: AbortSignal;
  onProgress?: (progress: SpeakProgress) => void;
  /** Told each latent frame [D] as it is drawn. */
  onFrame?: (latent: Float32Array) => void;
  /** Told of each utterance as soon as its length is known. */
  onUtterance?: (utterance: SpokenPart) => void;
}

/** How texts are spoken together. */
export interface BatchOptions extends Omit<SpeakOptions, 'seed'> {
  /** Readings of each text (default 1). */
  count?: number;
  /** A prompt for each text, in place of `prompt`. */
  prompts?: readonly Prompt[];
  /** Or a generator to go on with: the released evaluation seeds one for all of its batches. */
  seed?: number | TorchRandom;
}

/** An utterance, and when it sounds. */
export interface SpokenPart {
  /** What is said; '' for a voice that reads phonemes. */
  text: string;
  startSeconds: number;
  endSeconds: number;
}

/** A recording that becomes a voice. */
export interface Recording extends Audio {
  /** What is said in it, to the letter; '' where the text to speak will begin with it. */
  text: string;
  /** Only this much of its beginning becomes the voice; all of it is encoded. */
  seconds?: number;
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
  /** What was spoken as one, in order: sentences, or as much as the network holds. */
  utterances: SpokenPart[];
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
    return this.#generate(text, options, new TorchRandom(options.seed ?? DEFAULT_SEED));
  }

  /**
   * Speaks whole texts together, `count` readings of each in a row: one generator draws for all, as the released code does for
   * a batch and its `num_return_sequences`. Their rows are computed in the same graphs; maxStreams bounds them.
   * @throws {RangeError} as generate().
   */
  async generateBatch(texts: readonly string[], options: BatchOptions = {}): Promise<Speech[]> {
    const { count = 1, seed = DEFAULT_SEED, prompts } = options;
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`count: expected a positive integer, got ${count}`);
    if (prompts && prompts.length !== texts.length)
      throw new RangeError(`prompts: expected one a text, ${texts.length}, got ${prompts.length}`);
    const readings = texts.flatMap((text, i) =>
      Array.from({ length: count }, () => ({ text, prompt: prompts ? prompts[i] : options.prompt })),
    );
    const random = typeof seed === 'number' ? new TorchRandom(seed) : seed;
    const noises = sharedNoise(random, readings.length, this.config.noiseDim);
    const left = new AbortController();
    const signal = AbortSignal.any([left.signal, ...(options.signal ? [options.signal] : [])]);
    const speaking = readings.map(({ text, prompt }, i) =>
      this.#generate(text, { ...options, prompt, signal }, noises[i]),
    );
    try {
      return await Promise.all(speaking);
    } finally {
      left.abort(); // one that fails ends all
      await Promise.allSettled(speaking);
    }
  }

  /** Makes a voice of a recording, to be used as a prompt or stored in a file. @throws {RangeError} for one that is empty. */
  async createVoice({ samples, sampleRate, text, seconds = Infinity }: Recording): Promise<Voice> {
    const { codec } = this.#parts;
    if (!(samples instanceof Float32Array) || samples.length === 0 || !samples.every(Number.isFinite))
      throw new RangeError('createVoice: expected samples, finite numbers in a Float32Array, and at least one');
    if (!(seconds > 0)) throw new RangeError(`seconds: expected a positive number, got ${seconds}`);
    const latents = await codec.encode(await resample(samples, sampleRate, codec.sampleRate));
    const frames = Math.min(latents.length / codec.latentDim, Math.max(1, Math.round(seconds * this.frameRate)));
    return new Voice({ text, latents: latents.subarray(0, frames * codec.latentDim) }, codec);
  }

  /**
   * Speaks a text that may still be written: yields mono samples [N] as they exist, the same ones as generate().
   * Nothing is computed after an abort, which throws the signal's reason, nor after the reader leaves.
   * @throws {RangeError} for an empty text or an option out of range.
   */
  async *stream(text: string | AsyncIterable<string>, options: SpeakOptions = {}): AsyncGenerator<Float32Array, void> {
    if (options.loudness !== undefined)
      throw new RangeError(
        'loudness: a stream cannot know its own; use generate(), or setLoudness() on what was collected',
      );
    yield* this.#speak(text, options, new TorchRandom(options.seed ?? DEFAULT_SEED));
  }

  /** Stops all streams and frees the voice. */
  async free(): Promise<void> {
    await this.#parts.session.free();
    await this.#parts.codec.free();
  }

  async #generate(text: string, options: Omit<SpeakOptions, 'seed'>, noise: NoiseSource): Promise<Speech> {
    const [chunks, frames, utterances]: [Float32Array[], Float32Array[], SpokenPart[]] = [[], [], []];
    const onUtterance = (utterance: SpokenPart) => {
      utterances.push(utterance);
      options.onUtterance?.(utterance);
    };
    const spoken = this.#speak(text, { ...options, onUtterance }, noise, (latent) => frames.push(latent));
    for await (const chunk of spoken) chunks.push(chunk);
    const { sampleRate } = this;
    const samples = options.loudness === undefined ? joined(chunks) : this.#levelled(joined(chunks), options.loudness);
    return { samples, sampleRate, frames: frames.length, latents: joined(frames), utterances };
  }

  #levelled(samples: Float32Array, target: number): Float32Array {
    const levelled = setLoudness(samples, this.sampleRate, target);
    const missing = describeMissing(levelled.loudness, target);
    if (missing !== undefined) this.#onWarning?.(missing);
    return levelled.samples;
  }

  async *#speak(
    text: string | AsyncIterable<string>,
    options: Omit<SpeakOptions, 'seed'>,
    noise: NoiseSource,
    onFrame?: (latent: Float32Array) => void,
  ): AsyncGenerator<Float32Array, void> {
    const { onProgress, onUtterance, includePrompt = false, rate = 1 } = options;
    const { guidanceScale = this.config.guidanceScale, temperature = this.config.temperature } = options;
    checkText(text);
    checkScale('guidanceScale', guidanceScale);
    checkScale('temperature', temperature);
    const prompt = this.#checkedPrompt(options.prompt);
    let expected: number | undefined;
    let frames = 0;
    yield* speakWithPauses(this.#parts, text, {
      rate,
      noise: scaledNoise(noise, temperature),
      guidanceScale,
      prompt,
      includePrompt,
      maxFrames: maxFramesOf(options, this.frameRate),
      signal: options.signal ?? new AbortController().signal,
      onWarning: this.#onWarning,
      onExpectation: (frames) => (expected = frames),
      onUtterance: (utterance, pausedSeconds) => {
        const { text, startSeconds, endSeconds } = this.#timed(utterance, includePrompt ? prompt : undefined);
        const at = (seconds: number) => seconds / rate + pausedSeconds;
        onUtterance?.({ text, startSeconds: at(startSeconds), endSeconds: at(endSeconds) });
      },
      onFrame: (latent) => {
        frames++;
        onFrame?.(latent);
        options.onFrame?.(latent);
        onProgress?.({ frames, fraction: expected && Math.min(frames / expected, 1) });
      },
    });
  }

  #checkedPrompt(prompt: Prompt | undefined): Prompt | undefined {
    if (prompt instanceof Voice) checkCodec(prompt, this.#parts.codec);
    else if (prompt) checkPrompt(prompt, this.config.latentDim);
    return prompt;
  }

  /** An utterance in seconds of the sound, which may begin with a prompt's. */
  #timed({ text, start, frames }: SpokenUtterance, audible: Prompt | undefined): SpokenPart {
    const first = start + (audible?.latents.length ?? 0) / this.config.latentDim;
    return { text, startSeconds: first / this.frameRate, endSeconds: (first + frames.length) / this.frameRate };
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
