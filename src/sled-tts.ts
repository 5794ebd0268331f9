import { loadVoice, type LoadVoiceOptions } from './generate/load-voice.js';
import { speakWithPauses } from './generate/paused-speech.js';
import { checkParts, type SpeechParts } from './generate/speech.js';
import { sharedNoise } from './generate/shared-noise.js';
import { scaledNoise, TorchRandom, type NoiseSource } from './generate/torch-random.js';
import { checkCodec, checkPrompt, Voice } from './generate/voice.js';
import { joined, type Prompt } from './generate/prompt.js';
import { describeMissing, setLoudness } from './audio/loudness.js';
import { resample } from './audio/resample.js';
import type { SledConfig } from './model/config.js';
import { resolveModel } from './generate/resolve-model.js';
import type { BatchOptions, Recording, SpeakOptions, Speech, SpokenPart, SpokenWord } from './speak-options.js';

/** What and how to load. */
export interface LoadOptions extends LoadVoiceOptions {
  /**
   * A directory with `config.json`, `model.safetensors` and `codec/`, the name of a shipped voice (the default is the first),
   * or a hub id, `ORG/NAME` or `ORG/NAME@REVISION`, which is fetched into the cache of Hugging Face's tools.
   */
  model?: string;
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
    const words: SpokenWord[] = [];
    const onWord = (word: SpokenWord) => {
      words.push(word);
      options.onWord?.(word);
    };
    const onUtterance = (utterance: SpokenPart) => {
      utterances.push(utterance);
      options.onUtterance?.(utterance);
    };
    const told = { ...options, onUtterance, ...(options.words && { onWord }) };
    const spoken = this.#speak(text, told, noise, (latent) => frames.push(latent));
    for await (const chunk of spoken) chunks.push(chunk);
    const { sampleRate } = this;
    const samples = options.loudness === undefined ? joined(chunks) : this.#levelled(joined(chunks), options.loudness);
    return { samples, sampleRate, frames: frames.length, latents: joined(frames), utterances, words };
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
    const { onProgress, onUtterance, onWord, includePrompt = false, rate = 1 } = options;
    const { guidanceScale = this.config.guidanceScale, temperature = this.config.temperature } = options;
    checkText(text);
    checkScale('guidanceScale', guidanceScale);
    checkScale('temperature', temperature);
    const prompt = this.#checkedPrompt(options.prompt);
    let expected: number | undefined;
    let [frames, written] = [0, ''];
    const first = (includePrompt && prompt ? prompt.latents.length : 0) / this.config.latentDim;
    /** Seconds of the sound, which may begin with a prompt's, before a frame. */
    const at = (frame: number, pausedSeconds: number) => (first + frame) / this.frameRate / rate + pausedSeconds;
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
      onUtterance: ({ text, start, frames }, pausedSeconds) => {
        const end = start + frames.length;
        onUtterance?.({ text, startSeconds: at(start, pausedSeconds), endSeconds: at(end, pausedSeconds) });
      },
      onText: onWord && ((piece) => (written += piece)),
      onWord:
        onWord &&
        (({ word: { start: textStart, end: textEnd }, start, end, source }, pausedSeconds) =>
          onWord({
            word: written.slice(textStart, textEnd),
            startSeconds: at(start, pausedSeconds),
            endSeconds: at(end, pausedSeconds),
            textStart,
            textEnd,
            source,
          })),
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
