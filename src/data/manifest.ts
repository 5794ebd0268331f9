import { createReadStream, type ReadStream } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip, type Gunzip } from 'node:zlib';

/** A piece of a recording. */
export interface Cut {
  id: string;
  /** The recording's file. */
  path: string;
  startSeconds: number;
  durationSeconds: number;
  /** The cut in samples of the file, where the manifest gives it exactly. */
  exact: { startSample: number; numSamples: number } | null;
}

/** One utterance of a manifest: a cut of a recording, and its text. */
export interface Utterance extends Cut {
  text: string;
  /** Phoneme tokens as spoken and the end of each in samples from the start of the cut, where they are known. */
  alignment: { phonemes: string[]; ends: number[] } | null;
}

export interface ManifestOptions {
  /** Folder that a recording's path is relative to; the manifest's own without it. */
  audioRoot?: string;
  /** Which of LibriHeavy's `custom.texts` is the text: 0 is cased and punctuated, 1 is normalised. */
  textIndex?: number;
}

interface Line {
  id?: unknown;
  start?: unknown;
  duration?: unknown;
  supervisions?: { text?: unknown; custom?: { texts?: unknown[]; phonemes?: unknown; ends?: unknown } }[];
  recording?: { sources?: { source?: unknown }[] };
  custom?: { startSample?: unknown; numSamples?: unknown };
}

/** A manifest line that cannot be used, with its file and number. */
export class ManifestError extends Error {
  override name = 'ManifestError';
}

/** A line of a manifest and where it stands, `path:number`. */
export interface ManifestLine {
  line: string;
  where: string;
}

/**
 * Reads a JSONL manifest (gzipped or not) of Lhotse MonoCuts, LibriHeavy's or the short form, a line at a time.
 * Blank lines are skipped.
 * @throws {ManifestError} at the first line that cannot be used
 */
export async function* readManifest(path: string, options: ManifestOptions = {}): AsyncGenerator<Utterance> {
  for await (const { line, where } of manifestLines(path))
    yield parseUtterance(line, where, { ...options, audioRoot: options.audioRoot ?? dirname(path) });
}

/** The lines of a manifest that are not blank. @throws {ManifestError} when it cannot be read to its end */
export async function* manifestLines(path: string): AsyncGenerator<ManifestLine> {
  const file = createReadStream(path);
  const input: ReadStream | Gunzip = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  let number = 0;
  file.on('error', (error) => input.destroy(error));
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++;
      if (line.trim() !== '') yield { line, where: `${path}:${number}` };
    }
    if (input.errored) throw input.errored;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error; // not the file's
    throw new ManifestError(`${path}: after line ${number}: ${(error as Error).message}`, { cause: error });
  } finally {
    file.destroy();
  }
}

/** Reads one line. @throws {ManifestError} */
export function parseUtterance(text: string, where: string, options: ManifestOptions): Utterance {
  const line = parseLine(text, where);
  const supervision = line.supervisions?.[0];
  const spoken = supervision?.text ?? supervision?.custom?.texts?.[options.textIndex ?? 0];
  if (typeof spoken !== 'string' || spoken.trim() === '')
    throw new ManifestError(`${where}: no text in supervisions[0].text or supervisions[0].custom.texts`);
  return {
    ...cutOf(line, where, options.audioRoot ?? '.'),
    text: spoken,
    alignment: parseAlignment(supervision?.custom),
  };
}

/** Reads one line whose text does not matter. @throws {ManifestError} */
export const parseCut = (text: string, where: string, audioRoot: string): Cut =>
  cutOf(parseLine(text, where), where, audioRoot);

function parseLine(text: string, where: string): Line {
  try {
    return (JSON.parse(text) ?? {}) as Line;
  } catch (error) {
    const isNaN = /[:[,]\s*-?(NaN|Infinity)\b/.test(text);
    throw new ManifestError(`${where}: ${isNaN ? 'NaN and Infinity are no numbers in JSON' : 'not a line of JSON'}`, {
      cause: error,
    });
  }
}

function cutOf(line: Line, where: string, audioRoot: string): Cut {
  const source = line.recording?.sources?.[0]?.source;
  const { start = 0, duration } = line;
  if (typeof source !== 'string') throw new ManifestError(`${where}: no recording.sources[0].source`);
  if (typeof start !== 'number' || typeof duration !== 'number' || !(start >= 0) || !(duration > 0))
    throw new ManifestError(`${where}: expected start >= 0 and duration > 0, got ${start} and ${duration}`);
  return {
    id: typeof line.id === 'string' ? line.id : where,
    path: resolve(audioRoot, source),
    startSeconds: start,
    durationSeconds: duration,
    exact: parseExact(line.custom),
  };
}

function parseExact(custom: Line['custom']): Cut['exact'] {
  const { startSample, numSamples } = custom ?? {};
  if (!Number.isSafeInteger(startSample) || !Number.isSafeInteger(numSamples)) return null;
  return { startSample: startSample as number, numSamples: numSamples as number };
}

function parseAlignment(custom: { phonemes?: unknown; ends?: unknown } | undefined): Utterance['alignment'] {
  const { phonemes, ends } = custom ?? {};
  if (!Array.isArray(phonemes) || !Array.isArray(ends) || phonemes.length !== ends.length) return null;
  return { phonemes: phonemes.map(String), ends: ends.map(Number) };
}
