import { extname } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { formatTimings, TIMING_FORMATS, type TimingFormat } from '../captions.js';
import { writeWhole } from '../model/safetensors.js';
import type { SpokenWord } from '../speak-options.js';

/** `--timings`: when each word sounds. */
export const timingsOption = () =>
  new Option(
    '--timings <file>',
    'also write when each word sounds: captions as .srt or .vtt, or every word as .json',
  ).argParser((path: string) => {
    if (formatOf(path) === undefined)
      throw new InvalidArgumentError(`expected a name that ends with .${TIMING_FORMATS.join(', .')}, got '${path}'`);
    return path;
  });

const formatOf = (path: string): TimingFormat | undefined =>
  TIMING_FORMATS.find((format) => extname(path).toLowerCase() === `.${format}`);

/** Collects words for `--timings`; asks for none, so that nothing is computed for them, where there is no path. */
export class TimingsFile {
  readonly #words: SpokenWord[] = [];

  constructor(private readonly path: string | undefined) {}

  get onWord(): ((word: SpokenWord) => void) | undefined {
    return this.path === undefined ? undefined : (word) => void this.#words.push(word);
  }

  /** Writes the file: whole or not at all. */
  write(): void {
    if (this.path !== undefined) writeTimings(this.path, this.#words);
  }
}

/** Writes timings as the file's ending says. */
export function writeTimings(path: string, words: readonly SpokenWord[]): void {
  writeWhole(path, [Buffer.from(formatTimings(words, formatOf(path) ?? 'json'))]);
}
