import type { Audio } from './audio/audio.js';
import type { Prompt } from './generate/prompt.js';
import type { TorchRandom } from './generate/torch-random.js';
import type { TimingSource } from './generate/word-aligner.js';

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
  /** Told of each word in order, as soon as it is known when it sounds: with the network's heads before its sound leaves, or soon after. */
  onWord?: (word: SpokenWord) => void;
  /** Whether generate() gives `words`. */
  words?: boolean;
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

/** A word as it is written, and when it sounds. What is read as one, such as "5 March 2024", is one. */
export interface SpokenWord {
  /** As it stands in the text, with the signs that touch it: `text.slice(textStart, textEnd)`. */
  word: string;
  startSeconds: number;
  endSeconds: number;
  /** In UTF-16 code units of the whole text. */
  textStart: number;
  textEnd: number;
  /**
   * Where the times come from: `attention`, heads of the network that were taught which phoneme sounds, or `plan`, where the model
   * has none: the utterance's words spread evenly over its frames.
   */
  source: TimingSource;
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
  /** Every word that is heard, in order; empty without the option `words`. */
  words: SpokenWord[];
}
