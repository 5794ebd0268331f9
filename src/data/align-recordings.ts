import { existsSync, mkdirSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { writeWhole } from '../model/safetensors.js';
import { CEPSTRUM_RATE, cepstra } from './align/cepstra.js';
import { PhonemeAligner, type Recording } from './align/phoneme-aligner.js';
import { manifestLines, parseUtterance, type Utterance } from './manifest.js';
import { readCuts } from './recording.js';

export interface AlignOptions {
  /** JSONL manifest of recordings of one voice. */
  manifest: string;
  /** Manifest to write: the same lines with `phonemes` and their `ends`, which `prepare` takes in place of the text. */
  out: string;
  /** The phonemes of a text, with spaces and stops. */
  phonemesOf: (text: string) => string[];
  signal?: AbortSignal;
  /** Utterances done. */
  onProgress?: (done: number) => void;
}

/** Speech that the sounds are learned from; they are few, and more would take longer. */
const LEARNED_SECONDS = 1200;

interface Line {
  json: { supervisions: { custom?: object }[]; recording: { sources: { source: string }[] } };
  utterance: Utterance;
}

/**
 * Writes when each phoneme of recordings sounds, found by sounds that are learned from a part of them. An utterance too
 * short for its phonemes stays without. A manifest that is there already is kept.
 * @throws {ManifestError} for a line that cannot be used. @throws {AudioError}
 */
export async function alignRecordings(options: AlignOptions): Promise<void> {
  const { manifest, out, onProgress } = options;
  if (existsSync(out)) return;
  const lines: Line[] = [];
  for await (const { line, where } of manifestLines(manifest))
    lines.push({ json: JSON.parse(line) as Line['json'], utterance: parseUtterance(line, where, { audioRoot: dirname(manifest) }) }); // prettier-ignore
  const seconds = lines.reduce((sum, { utterance }) => sum + utterance.durationSeconds, 0);
  const every = Math.ceil(seconds / LEARNED_SECONDS); // from the whole session, not its beginning
  const learned: Recording[] = [];
  for await (const { recording } of read(lines.filter((_, i) => i % every === 0), options)) learned.push(recording); // prettier-ignore
  const aligner = new PhonemeAligner(learned);
  let done = 0;
  for await (const { line, recording, sampleRate } of read(lines, options)) {
    const ends = aligner.align(recording)?.map((frames) => Math.round((frames * sampleRate) / CEPSTRUM_RATE));
    if (ends) line.json.supervisions[0].custom = { phonemes: recording.phonemes, ends };
    line.json.recording.sources[0].source = relative(resolve(dirname(out)), line.utterance.path);
    onProgress?.(++done);
  }
  mkdirSync(dirname(out), { recursive: true });
  writeWhole(out, lines.map(({ json }) => Buffer.from(`${JSON.stringify(json)}\n`))); // prettier-ignore
}

/** Cepstra and phonemes of the lines; each file is read once, so not in their order. */
async function* read(lines: readonly Line[], { phonemesOf, signal }: AlignOptions) {
  const lineOf = new Map(lines.map((line) => [line.utterance, line]));
  const cutsOf = new Map<string, Utterance[]>();
  for (const { utterance } of lines) cutsOf.set(utterance.path, [...(cutsOf.get(utterance.path) ?? []), utterance]);
  for (const [path, cuts] of cutsOf)
    for await (const { cut, samples, sampleRate } of readCuts(path, cuts)) {
      signal?.throwIfAborted();
      const recording: Recording = { frames: cepstra(samples, sampleRate), phonemes: phonemesOf(cut.text) };
      yield { line: lineOf.get(cut)!, recording, sampleRate };
    }
}
