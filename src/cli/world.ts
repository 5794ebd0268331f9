import type { Readable, Writable } from 'node:stream';
import type { Audio } from '../audio/audio.js';
import type { Prompt } from '../generate/prompt.js';
import type { Voice } from '../generate/voice.js';
import type { SpokenWord } from '../speak-options.js';

/** Fraction of the work that is done, where it is known, and the frames that exist. */
export interface SpeakProgress {
  frames: number;
  fraction?: number;
}

/** How one text is spoken. */
export interface SpeakOptions {
  seed: number;
  guidanceScale?: number;
  temperature?: number;
  rate?: number;
  maxFrames?: number;
  /** A voice to speak with, or speech to go on from. */
  prompt?: Prompt;
  includePrompt?: boolean;
  signal: AbortSignal;
  onProgress?: (progress: SpeakProgress) => void;
  /** Told each latent frame [D]. */
  onFrame?: (latent: Float32Array) => void;
  /** Told of each word in order. */
  onWord?: (word: SpokenWord) => void;
  /** Whether a whole text comes with its words. */
  words?: boolean;
}

/** A text as it was spoken. */
export interface SpokenText {
  samples: Float32Array;
  /** [T, D] */
  latents: Float32Array;
  /** T */
  frames: number;
  words: SpokenWord[];
}

/** What the command line needs of a loaded voice; `SledTts` is one. */
export interface Speaker {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Yields samples [N] as they exist. */
  stream(text: string | AsyncIterable<string>, options: SpeakOptions): AsyncIterable<Float32Array>;
  /** Speaks whole texts at once, `count` times each. */
  generateBatch(texts: readonly string[], options: SpeakOptions & { count: number }): Promise<SpokenText[]>;
  /** Makes a voice of a recording, or of its first seconds. */
  createVoice(recording: Audio & { text: string; seconds?: number }): Promise<Voice>;
  free(): void | Promise<void>;
}

/** How far fetching a model from the hub is. */
export interface DownloadProgress {
  name: string;
  bytes: number;
  totalBytes: number;
}

/** What to load, and how. */
export interface LoadOptions {
  model?: string;
  codec?: string;
  threads?: number;
  /** `cpu`, `gpu`, or a name of ggml's. */
  device?: string;
  weights?: string;
  /** Told what a user should know: an unknown character, speech that was cut short. */
  onWarning?: (message: string) => void;
  onDownload?: (progress: DownloadProgress) => void;
  signal?: AbortSignal;
}

/** Everything outside the program that its verbs touch, so that a test can put something else there. */
export interface World {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean };
  stderr: Writable & { isTTY?: boolean };
  /** Aborted by Ctrl-C and by a reader of standard output that has gone. */
  signal: AbortSignal;
  loadSpeaker(options: LoadOptions): Promise<Speaker>;
}
