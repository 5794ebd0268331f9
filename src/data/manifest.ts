import { createReadStream, type ReadStream } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip, type Gunzip } from 'node:zlib';

/** One utterance of a manifest: a cut of a recording, and its text. */
export interface Utterance {
  id: string;
  text: string;
  /** The recording's file. */
  path: string;
  startSeconds: number;
  durationSeconds: number;
  /** The cut in samples of the file, where the manifest gives it exactly. */
  cut: { startSample: number; numSamples: number } | null;
  /** Phoneme tokens as spoken and the end of each in samples from the start of the cut, where they are known. */
  alignment: { phonemes: string[]; ends: number[] } | null;
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

/**
 * Reads a JSONL manifest (gzipped or not) of Lhotse MonoCuts, LibriHeavy's or the short form, a line at a time.
 * A source path is relative to the manifest's folder. Blank lines are skipped.
 * @throws {ManifestError} at the first line that cannot be used
 */
export async function* readManifest(path: string): AsyncGenerator<Utterance> {
  const file = createReadStream(path);
  const input: ReadStream | Gunzip = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  let number = 0;
  let failed: Error | undefined;
  file.on('error', (error) => input.destroy(error));
  input.on('error', (error: Error) => (failed = error));
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    number++;
    if (line.trim() !== '') yield parseLine(line, `${path}:${number}`, dirname(path));
  }
  if (failed) throw new ManifestError(`${path}: ${failed.message}`);
}

function parseLine(text: string, where: string, folder: string): Utterance {
  let line: Line;
  try {
    line = (JSON.parse(text) ?? {}) as Line;
  } catch {
    throw new ManifestError(`${where}: not a line of JSON`);
  }
  const supervision = line.supervisions?.[0];
  const spoken = supervision?.text ?? supervision?.custom?.texts?.[0]; // LibriHeavy: [0] is cased and punctuated
  const source = line.recording?.sources?.[0]?.source;
  const { start = 0, duration } = line;
  if (typeof spoken !== 'string') throw new ManifestError(`${where}: no supervisions[0].text`);
  if (typeof source !== 'string') throw new ManifestError(`${where}: no recording.sources[0].source`);
  if (typeof start !== 'number' || typeof duration !== 'number' || !(start >= 0) || !(duration > 0))
    throw new ManifestError(`${where}: expected start >= 0 and duration > 0, got ${start} and ${duration}`);
  return {
    id: typeof line.id === 'string' ? line.id : where,
    text: spoken,
    path: resolve(folder, source),
    startSeconds: start,
    durationSeconds: duration,
    cut: parseCut(line.custom),
    alignment: parseAlignment(supervision?.custom),
  };
}

function parseCut(custom: Line['custom']): Utterance['cut'] {
  const { startSample, numSamples } = custom ?? {};
  if (!Number.isSafeInteger(startSample) || !Number.isSafeInteger(numSamples)) return null;
  return { startSample: startSample as number, numSamples: numSamples as number };
}

function parseAlignment(custom: { phonemes?: unknown; ends?: unknown } | undefined): Utterance['alignment'] {
  const { phonemes, ends } = custom ?? {};
  if (!Array.isArray(phonemes) || !Array.isArray(ends) || phonemes.length !== ends.length) return null;
  return { phonemes: phonemes.map(String), ends: ends.map(Number) };
}
