import type { Readable, Writable } from 'node:stream';

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
  signal: AbortSignal;
  onProgress?: (progress: SpeakProgress) => void;
}

/** What the command line needs of a loaded voice; `SledTts` is one. */
export interface Speaker {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Yields samples [N] as they exist. */
  stream(text: string | AsyncIterable<string>, options: SpeakOptions): AsyncIterable<Float32Array>;
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
  threads?: number;
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
