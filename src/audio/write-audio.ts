import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AudioError } from './audio.js';
import { outputFormat, type StreamEncoder } from './formats.js';

/** How a sound file is written. */
export interface WriteAudioOptions {
  /** `wav`, `flac`, `mp3`, `opus` or `pcm`, in place of what the file name ends with. */
  format?: string;
}

/** A sound file that is being written; it appears under its name only when `close` has succeeded. */
export class AudioFileWriter {
  readonly #file: FileHandle;
  readonly #encoder: StreamEncoder;
  readonly #path: string;
  /** Where the bytes go until the file is whole; undefined where the target is a device or pipe. */
  readonly #partial: string | undefined;
  #sampleCount = 0;
  #ended = false;
  #finished = false;

  private constructor(file: FileHandle, encoder: StreamEncoder, path: string, partial: string | undefined) {
    this.#file = file;
    this.#encoder = encoder;
    this.#path = path;
    this.#partial = partial;
  }

  /**
   * Opens a file whose extension, or `format`, names its format; an existing one is replaced only by `close`.
   * @throws {AudioError} On a format that cannot be written, or a directory that does not exist or is not writable.
   */
  static async open(path: string, sampleRate: number, options: WriteAudioOptions = {}): Promise<AudioFileWriter> {
    const encoder = await outputFormat(path, options.format).createEncoder(sampleRate);
    const target = await realpath(path).catch(() => path);
    const existing = await stat(target).catch(() => undefined);
    if (existing?.isDirectory()) throw new AudioError(`${path}: expected a file to write, got a directory`);
    const direct = existing !== undefined && !existing.isFile();
    const partial = direct ? undefined : join(dirname(target), `.${basename(target)}.${process.pid}.partial`);
    const file = await open(partial ?? target, 'w').catch((error: unknown) => {
      throw explain(path, error);
    });
    const writer = new AudioFileWriter(file, encoder, target, partial);
    await writer.#append(encoder.start());
    return writer;
  }

  /** Appends samples [N]. On an error the partial file is gone and the writer cannot be used again. */
  async write(samples: Float32Array): Promise<void> {
    this.#sampleCount += samples.length;
    await this.#append(this.#encoder.chunk(samples));
  }

  /** Completes the file and gives it its name. */
  async close(): Promise<void> {
    if (this.#finished) return;
    const rest = this.#encoder.end();
    this.#ended = true;
    await this.#append(rest);
    await this.#guard(async () => {
      if (this.#partial) {
        const start = this.#encoder.start(this.#sampleCount);
        await this.#file.write(start, 0, start.length, 0);
        await this.#file.sync();
      }
      await this.#file.close();
      if (this.#partial) await rename(this.#partial, this.#path);
      this.#finished = true;
    });
  }

  /** Gives up: nothing is left of what was written. Does nothing after `close`. */
  async abort(): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    if (!this.#ended) this.#encoder.abort?.();
    await this.#file.close().catch(() => undefined);
    if (this.#partial) await rm(this.#partial, { force: true });
  }

  async #append(bytes: Uint8Array): Promise<void> {
    await this.#guard(() => this.#file.appendFile(bytes));
  }

  async #guard(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      await this.abort();
      throw explain(this.#path, error);
    }
  }
}

/**
 * Writes samples [N] as one sound file; it is whole or not there at all.
 * @throws {AudioError} Where it cannot be written: no such directory, a full disk.
 */
export async function writeAudio(
  path: string,
  samples: Float32Array,
  sampleRate: number,
  options: WriteAudioOptions = {},
): Promise<void> {
  const writer = await AudioFileWriter.open(path, sampleRate, options);
  await writer.write(samples);
  await writer.close();
}

const REASONS: Record<string, string> = {
  ENOSPC: 'no space is left on the disk; nothing was written',
  EDQUOT: 'the disk quota is used up; nothing was written',
  EFBIG: 'the file would be larger than is allowed here; nothing was written',
  ENOENT: 'no such directory',
  ENOTDIR: 'no such directory',
  EACCES: 'no permission to write there',
  EROFS: 'the disk is read-only',
};

function explain(path: string, error: unknown): unknown {
  const reason = REASONS[(error as NodeJS.ErrnoException).code ?? ''];
  return reason ? new AudioError(`${path}: ${reason}`, { cause: error }) : error;
}
