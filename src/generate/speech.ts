import type { Codec, LatentDecoder } from '../codec/codec.js';
import type { SledConfig, TextKind } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import type { TextFrontEnd } from '../text/front-end.js';
import { Channel } from './channel.js';
import { generateFrames } from './generate-frames.js';
import type { Session } from './session.js';
import type { TokenQueue } from './token-source.js';
import type { NoiseSource } from './torch-random.js';
import { utterancesOf } from './utterances.js';

/** A loaded voice: what turns text into ids, ids into latent frames, and frames into sound. */
export interface SpeechParts {
  config: SledConfig;
  frontEnd: TextFrontEnd;
  session: Session;
  codec: Codec;
}

/** @throws {CheckpointError} when the codec's latents or the front end's ids are not those of the network. */
export function checkParts({ config, codec, frontEnd }: Omit<SpeechParts, 'session'>): void {
  if (codec.latentDim !== config.latentDim)
    throw new CheckpointError(
      `codec: expected ${config.latentDim} latent channels as the model's config has it, got ${codec.latentDim}`,
    );
  if (frontEnd.vocabSize > config.vocabSize)
    throw new CheckpointError(
      `text: the front end has ${frontEnd.vocabSize} ids, but the model embeds ${config.vocabSize}`,
    );
}

export interface SpeechOptions {
  noise: NoiseSource;
  guidanceScale: number;
  /** Most frames in all. */
  maxFrames: number;
  signal: AbortSignal;
  /** Told each frame [D] as it is drawn. */
  onFrame?: (latent: Float32Array) => void;
  /** Told about how many frames the text will take, where it is given as a whole. */
  onExpectation?: (frames: number) => void;
  /** Told when speech was cut short: the network did not end it by itself. */
  onWarning?: (message: string) => void;
}

/** First sound after this much speech, and each chunk longer than the last, up to the longest. */
const FIRST_CHUNK_SECONDS = 0.08;
const LONGEST_CHUNK_SECONDS = 0.64;
const CHUNK_GROWTH = 1.5;
/** Chunks that may wait for the listener; then the network waits too. */
const CHUNKS_AHEAD = 8;

/** Usual duration of a token; speech that takes several times as long has lost its way. */
const SECONDS_PER_TOKEN: Record<TextKind, number> = { 'phonemes-en': 0.055, bpe: 0.28 };
const PATIENCE = 4;
const PATIENCE_SECONDS = 2;

const frameRateOf = ({ sampleRate, hopLength }: Codec) => sampleRate / hopLength;

/** Frames that a text of this many tokens usually takes. */
const expectedFrames = (tokens: number, text: TextKind, frameRate: number): number =>
  Math.ceil(tokens * SECONDS_PER_TOKEN[text] * frameRate);

/** Collects frames into chunks for the decoder; decoding runs beside the network, in order. */
class ChunkedDecoder {
  readonly #decoder: LatentDecoder;
  readonly #frameRate: number;
  #frames: Float32Array[] = [];
  #chunkSeconds = FIRST_CHUNK_SECONDS;
  #decoding: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly codec: Codec,
    private readonly samples: Channel<Promise<Float32Array>>,
  ) {
    this.#decoder = codec.createDecoder();
    this.#frameRate = frameRateOf(codec);
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
    const samples = this.#decoding.then(work);
    samples.catch(() => undefined); // the reader of the channel gets the error
    this.#decoding = samples;
    return this.samples.push(samples);
  }
}

/**
 * Speaks a text: yields samples [N] as they exist. The same noise gives the same samples for a text as a whole and in pieces.
 * Nothing is computed after an abort, which throws the signal's reason, nor after the reader leaves.
 */
export async function* speakText(
  parts: SpeechParts,
  text: string | AsyncIterable<string>,
  options: SpeechOptions,
): AsyncGenerator<Float32Array, void> {
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  const channel = new Channel<Promise<Float32Array>>(CHUNKS_AHEAD);
  const producing = produce(parts, text, { ...options, signal }, channel).then(
    () => channel.close(),
    (error) => channel.fail(error),
  );
  const stop = () => channel.fail(options.signal.reason);
  options.signal.addEventListener('abort', stop);
  try {
    for await (const decoding of channel) {
      const samples = await decoding;
      options.signal.throwIfAborted();
      if (samples.length > 0) yield samples;
    }
  } finally {
    options.signal.removeEventListener('abort', stop);
    left.abort();
    await producing;
  }
}

async function produce(
  parts: SpeechParts,
  text: string | AsyncIterable<string>,
  options: SpeechOptions,
  channel: Channel<Promise<Float32Array>>,
): Promise<void> {
  options.signal.throwIfAborted();
  let framesLeft = options.maxFrames;
  let spoke = false;
  const { frontEnd, config, codec } = parts;
  const { utterances, tokens } = utterancesOf(text, frontEnd, config, options.signal);
  if (tokens !== undefined) options.onExpectation?.(expectedFrames(tokens, config.text, frameRateOf(codec)));
  for await (const utterance of utterances) {
    spoke = true;
    const decoder = new ChunkedDecoder(codec, channel);
    try {
      framesLeft -= await speakUtterance(parts, utterance, { ...options, maxFrames: framesLeft }, decoder);
    } finally {
      await decoder.free();
    }
    if (framesLeft <= 0) return;
  }
  if (!spoke) throw new RangeError('text: expected something to say, got nothing that can be spoken');
}

/** @returns The number of frames spoken. */
async function speakUtterance(
  { session, config, codec }: SpeechParts,
  utterance: TokenQueue,
  { maxFrames, onFrame, onWarning, ...options }: SpeechOptions,
  decoder: ChunkedDecoder,
): Promise<number> {
  const frameRate = frameRateOf(codec);
  const patience = (tokens: number) =>
    PATIENCE * expectedFrames(tokens, config.text, frameRate) + Math.ceil(PATIENCE_SECONDS * frameRate);
  const generation = generateFrames(session, config, utterance, {
    ...options,
    maxFrames: (tokens) => Math.min(maxFrames, patience(tokens)),
    onWaiting: () => void decoder.decode(),
  });
  let frames = 0;
  for (;;) {
    const { value, done } = await generation.next();
    if (done) {
      if (value !== 'end' && frames < maxFrames)
        onWarning?.(`the voice did not end by itself; cut after ${frames} frames`);
      break;
    }
    frames++;
    onFrame?.(value);
    await decoder.push(value);
  }
  await decoder.flush();
  return frames;
}
