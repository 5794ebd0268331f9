import type { Writable } from 'node:stream';
import { AudioError } from '../audio/audio.js';
import { outputFormat } from '../audio/formats.js';
import { openPlayback } from '../audio/playback.js';
import { AudioFileWriter } from '../audio/write-audio.js';

/** Where speech goes. */
export interface SpeechOutput {
  write(samples: Float32Array): Promise<void>;
  close(): Promise<void>;
  /** Leaves nothing behind that is not whole. */
  abort(): Promise<void> | void;
}

/** Writes a sound file to a pipe as it comes: WAV unless told otherwise. */
export async function stdoutOutput(stdout: Writable, sampleRate: number, format = 'wav'): Promise<SpeechOutput> {
  const encoder = await outputFormat('-', format).createEncoder(sampleRate);
  await writeBytes(stdout, encoder.start());
  return {
    write: (samples) => writeBytes(stdout, encoder.chunk(samples)),
    close: () => writeBytes(stdout, encoder.end()),
    abort: () => encoder.abort?.(),
  };
}

/** Resolves when the bytes have left, so that a slow reader slows the speaking down instead of filling memory. */
function writeBytes(stdout: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(bytes, (error) => (error ? reject(stdoutError(error)) : resolve()));
  });
}

function stdoutError(error: NodeJS.ErrnoException): Error {
  return error.code === 'ENOSPC' ? new AudioError('standard output: no space is left on the disk') : error;
}

/** Opens a file, or standard output for `-`. */
export async function openOutput(
  out: string,
  stdout: Writable,
  sampleRate: number,
  format?: string,
): Promise<SpeechOutput> {
  return out === '-' ? stdoutOutput(stdout, sampleRate, format) : AudioFileWriter.open(out, sampleRate, { format });
}

/**
 * The loudspeaker as an output that never holds the speaking up: the player reads at its own pace.
 * @returns Undefined where the machine has no player.
 */
export function playbackOutput(sampleRate: number): SpeechOutput | undefined {
  const playback = openPlayback(sampleRate);
  if (!playback) return undefined;
  let queue = Promise.resolve();
  return {
    write: async (samples) => {
      queue = queue.then(() => playback.write(samples));
    },
    close: async () => {
      await queue;
      await playback.end();
    },
    abort: () => playback.stop(),
  };
}
