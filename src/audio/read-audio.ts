import { readFile, stat } from 'node:fs/promises';
import { AudioError, MAX_FILE_BYTES, type Audio } from './audio.js';
import { decodeAudio } from './formats.js';
import { resample } from './resample.js';

/** How a sound file is read. */
export interface ReadAudioOptions {
  /** The rate wanted, Hz; without it the file's own. */
  sampleRate?: number;
}

/**
 * Reads a sound file as mono, resampled where another rate is asked for.
 * @throws {AudioError} One line that names the file: missing, too long, of an unknown format, truncated or damaged.
 */
export async function readAudio(path: string, options: ReadAudioOptions = {}): Promise<Audio> {
  const audio = await decodeAudio(await readBounded(path), path);
  const sampleRate = options.sampleRate ?? audio.sampleRate;
  return { samples: await resample(audio.samples, audio.sampleRate, sampleRate), sampleRate };
}

async function readBounded(path: string): Promise<Uint8Array> {
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new AudioError(`${path}: expected a sound file, got something that is no regular file`);
    if (info.size > MAX_FILE_BYTES)
      throw new AudioError(
        `${path}: ${info.size} bytes are more than the ${MAX_FILE_BYTES} that are read; cut the file`,
      );
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new AudioError(`${path}: no such file`);
    throw error;
  }
}
