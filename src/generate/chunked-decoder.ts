import type { Codec, LatentDecoder } from '../codec/codec.js';
import type { Channel } from './channel.js';

/** First sound after this much speech, and each chunk longer than the last, up to the longest. */
const FIRST_CHUNK_SECONDS = 0.08;
const LONGEST_CHUNK_SECONDS = 0.64;
const CHUNK_GROWTH = 1.5;

/** Collects frames into chunks for the decoder; decoding runs beside the network, in order. */
export class ChunkedDecoder {
  readonly #decoder: LatentDecoder;
  readonly #frameRate: number;
  #frames: Float32Array[] = [];
  #chunkSeconds: number;
  #decoding: Promise<unknown> = Promise.resolve();
  /** Samples that are still to be left out. */
  #silent = 0;

  constructor(
    private readonly codec: Codec,
    private readonly samples: Channel<Promise<Float32Array>>,
  ) {
    this.#decoder = codec.createDecoder();
    this.#frameRate = codec.sampleRate / codec.hopLength;
    this.#chunkSeconds = Math.max(FIRST_CHUNK_SECONDS, this.#decoder.startFrames / this.#frameRate);
  }

  /** Decodes frames [T, D] that stand before the others, with or without handing on their sound. */
  async begin(latents: Float32Array, audible: boolean): Promise<void> {
    if (!audible) this.#silent = (latents.length / this.codec.latentDim) * this.codec.hopLength;
    await this.#then(() => this.#decoder.decode(latents));
  }

  async push(latent: Float32Array): Promise<void> {
    this.#frames.push(latent);
    if (this.#frames.length < this.#chunkSeconds * this.#frameRate) return;
    this.#chunkSeconds = Math.min(this.#chunkSeconds * CHUNK_GROWTH, LONGEST_CHUNK_SECONDS);
    await this.decode();
  }

  /** Decodes what is there: the chunk is full, or the text keeps the network waiting. */
  async decode(): Promise<void> {
    if (this.#frames.length === 0) return;
    const D = this.codec.latentDim;
    const latents = new Float32Array(this.#frames.length * D);
    this.#frames.forEach((frame, i) => latents.set(frame, i * D));
    this.#frames = [];
    await this.#then(() => this.#decoder.decode(latents));
  }

  async flush(): Promise<void> {
    await this.decode();
    await this.#then(() => this.#decoder.flush());
  }

  /** Waits for the decoder and frees it. */
  async free(): Promise<void> {
    await this.#decoding.catch(() => undefined);
    this.#decoder.free();
  }

  #then(work: () => Promise<Float32Array>): Promise<void> {
    const samples = this.#decoding.then(() => this.#audible(work()));
    samples.catch(() => undefined); // the reader of the channel gets the error
    this.#decoding = samples;
    return this.samples.push(samples);
  }

  async #audible(decoding: Promise<Float32Array>): Promise<Float32Array> {
    const samples = await decoding;
    const silent = Math.min(this.#silent, samples.length);
    this.#silent -= silent;
    return samples.subarray(silent);
  }
}
