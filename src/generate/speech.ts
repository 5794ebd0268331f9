import type { Codec } from '../codec/codec.js';
import type { SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import type { TextFrontEnd } from '../text/front-end.js';
import { CarriedVoice } from './carried-voice.js';
import { Channel } from './channel.js';
import { joined, type Prompt } from './prompt.js';
import type { Session } from './session.js';
import { expectedFrames } from './speaking-rate.js';
import type { NoiseSource } from './torch-random.js';
import { UtteranceSpeaker, type SpokenUtterance } from './utterance-speaker.js';
import { utterancesOf } from './utterances.js';
import type { AlignedWord } from './word-aligner.js';

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
  /** A text that says nothing is no error. */
  mayBeSilent?: boolean;
  /** What the speech goes on from. What a Voice begins each speech with is computed once. */
  prompt?: Prompt;
  /** Whether the sound begins with the prompt's, decoded from its latents. */
  includePrompt?: boolean;
  /** Told each frame [D] as it is drawn. */
  onFrame?: (latent: Float32Array) => void;
  /** Told about how many frames the text will take, where it is given as a whole. */
  onExpectation?: (frames: number) => void;
  /** Told of each utterance when its last frame is drawn. */
  onUtterance?: (utterance: SpokenUtterance) => void;
  /** Told of each word in order, with frames numbered through the whole speech; nothing is computed for it without this. */
  onWord?: (word: AlignedWord) => void;
  /** Told when speech was cut short: the network did not end it by itself. */
  onWarning?: (message: string) => void;
}

/** Chunks that may wait for the listener; then the network waits too. */
const CHUNKS_AHEAD = 8;

export const frameRateOf = ({ sampleRate, hopLength }: Codec) => sampleRate / hopLength;

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

/** Speaks utterances one after another until nothing is left to say, or maxFrames are spoken. */
async function produce(
  parts: SpeechParts,
  text: string | AsyncIterable<string>,
  options: SpeechOptions,
  channel: Channel<Promise<Float32Array>>,
): Promise<void> {
  options.signal.throwIfAborted();
  const { frontEnd, config, codec } = parts;
  const { prompt, signal } = options;
  const frameRate = frameRateOf(codec);
  const utterances = utterancesOf(text, frontEnd, config, { signal, frameRate, prompt });
  const { tokens, continuous } = utterances;
  if (tokens !== undefined) options.onExpectation?.(expectedFrames(tokens, config.text, frameRate));
  const speaker = new UtteranceSpeaker(parts, options, channel);
  const carried = new CarriedVoice({ ...config, frameRate });
  try {
    for (let before = prompt; speaker.framesLeft > 0;) {
      const utterance = await utterances.next(before);
      if (!utterance) break;
      const spoken = await speaker.speak(utterance, before);
      if (!continuous) await speaker.flush();
      if (before?.text && before === prompt) continue; // a voice speaks every utterance
      // A recording that the text begins with is the beginning of its first utterance.
      const begun = before && before.text === '' ? [before.latents] : [];
      if (spoken.ended)
        carried.add({ text: utterance.text, latents: joined([...begun, ...spoken.frames]) }, spoken.tokens);
      before = continuous ? carried.promptThat((last) => utterances.fits(last)) : undefined;
    }
    if (!speaker.spoke && !options.mayBeSilent)
      throw new RangeError('text: expected something to say, got nothing that can be spoken');
    await speaker.flush();
  } finally {
    await speaker.free();
  }
}
