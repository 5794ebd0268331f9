import { existsSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setLoudness } from '../audio/loudness.js';
import { resample } from '../audio/resample.js';
import { trimSilence } from '../audio/trim.js';
import { encodePcm16, wavHeader } from '../audio/wav-writer.js';
import { writeWhole } from '../model/safetensors.js';
import { readManifest, type Utterance } from './manifest.js';
import { readCuts } from './recording.js';

export interface LevelOptions {
  /** JSONL manifest of what was recorded. */
  manifest: string;
  /** Manifest to write; its WAV files lie beside it. */
  out: string;
  /** Of the files that are written, in hertz. */
  sampleRate: number;
  /** LUFS of every utterance, as far as its peaks allow. */
  loudness: number;
  signal?: AbortSignal;
  /** Utterances done. */
  onProgress?: (done: number) => void;
}

/** A file is closed once it holds this much, so that memory does not grow with the recordings. */
const SECONDS_PER_FILE = 600;

/**
 * Recordings as a voice is trained on them: 16-bit mono WAV at the codec's rate, silence cut off both ends, every
 * utterance as loud as the next. Microphones and distances differ, and none of it should be learned.
 * A manifest that is there already is kept.
 * @throws {ManifestError} for a line that cannot be used. @throws {AudioError}
 */
export async function levelRecordings(options: LevelOptions): Promise<void> {
  const { manifest, out, sampleRate, loudness, signal, onProgress } = options;
  if (existsSync(out)) return;
  mkdirSync(dirname(out), { recursive: true });
  const recordings = new Map<string, Utterance[]>();
  for await (const utterance of readManifest(manifest))
    recordings.set(utterance.path, [...(recordings.get(utterance.path) ?? []), utterance]);
  const files = new WavFiles(out.replace(/\.jsonl$/, ''), sampleRate);
  let done = 0;
  for (const [path, cuts] of recordings)
    for await (const { cut, samples, sampleRate: rate } of readCuts(path, cuts)) {
      signal?.throwIfAborted();
      const speech = trimSilence(await resample(samples, rate, sampleRate), sampleRate);
      files.add(cut, setLoudness(speech, sampleRate, loudness).samples);
      onProgress?.(++done);
    }
  files.close();
  writeWhole(out, [Buffer.from(files.lines.join(''))]);
}

/** WAV files of utterances one after another. */
class WavFiles {
  /** Of the manifest, Lhotse's MonoCuts. */
  readonly lines: string[] = [];
  private parts: Uint8Array[] = [];
  private numSamples = 0;
  private count = 0;

  constructor(
    private readonly prefix: string,
    private readonly sampleRate: number,
  ) {}

  add({ id, text }: Utterance, samples: Float32Array): void {
    if (this.numSamples >= SECONDS_PER_FILE * this.sampleRate) this.close();
    const exact = { startSample: this.numSamples, numSamples: samples.length };
    const [start, duration] = [exact.startSample / this.sampleRate, samples.length / this.sampleRate];
    const recording = { sources: [{ source: basename(this.path) }], sampling_rate: this.sampleRate };
    this.lines.push(`${JSON.stringify({ id, start, duration, supervisions: [{ text }], recording, custom: exact, type: 'MonoCut' })}\n`); // prettier-ignore
    this.parts.push(encodePcm16(samples));
    this.numSamples += samples.length;
  }

  close(): void {
    if (this.numSamples > 0) writeWhole(this.path, [wavHeader(this.sampleRate, this.numSamples), ...this.parts]);
    [this.parts, this.numSamples] = [[], 0];
    this.count++;
  }

  private get path(): string {
    const number = String(this.count).padStart(5, '0');
    return join(dirname(this.prefix), `${basename(this.prefix)}-${number}.wav`);
  }
}
