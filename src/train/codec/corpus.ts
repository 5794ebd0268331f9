import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseCut } from '../../data/manifest.js';

/** Mono samples of one utterance inside a WAV file. */
export interface Utterance {
  readonly id: string;
  readonly path: string;
  /** First sample inside the file's data. */
  readonly startSample: number;
  readonly numSamples: number;
}

interface OpenWav {
  readonly file: number;
  readonly dataOffset: number;
  readonly numSamples: number;
}

/** A WAV header with its other chunks fits here; `data` must begin inside. */
const HEADER_BYTES = 1 << 16;

/**
 * Utterances of JSONL manifests whose recordings are 16-bit mono WAV files, read by offset, never a file as a whole.
 */
export class SpeechCorpus {
  private readonly open = new Map<string, OpenWav>();

  /** @throws {RangeError} naming the line when an utterance does not lie inside its file. */
  constructor(
    readonly utterances: readonly Utterance[],
    readonly sampleRate: number,
  ) {
    for (const utterance of utterances) this.checkInside(utterance);
  }

  /** Samples [from, from + count) of an utterance as [-1, 1); silence beyond its ends. */
  read(utterance: Utterance, from = 0, count = utterance.numSamples): Float32Array {
    const first = Math.max(from, 0);
    const last = Math.min(from + count, utterance.numSamples);
    const samples = new Float32Array(count);
    if (last <= first) return samples;
    const pcm = new Int16Array(last - first); // little-endian, as the file and every platform of Node are
    const bytes = new Uint8Array(pcm.buffer);
    const wav = this.wavOf(utterance.path);
    const got = readSync(wav.file, bytes, 0, bytes.length, wav.dataOffset + (utterance.startSample + first) * 2);
    if (got !== bytes.length) throw new RangeError(`${utterance.path}: ended inside ${utterance.id}`);
    for (let i = 0; i < pcm.length; i++) samples[first - from + i] = pcm[i] / 32768;
    return samples;
  }

  close(): void {
    for (const { file } of this.open.values()) closeSync(file);
    this.open.clear();
  }

  private wavOf(path: string): OpenWav {
    const known = this.open.get(path);
    if (known) return known;
    const wav = openWav(path, this.sampleRate);
    this.open.set(path, wav);
    return wav;
  }

  private checkInside({ id, path, startSample, numSamples }: Utterance): void {
    const { numSamples: available } = this.wavOf(path);
    if (startSample < 0 || numSamples < 1 || startSample + numSamples > available) {
      throw new RangeError(
        `${id}: samples ${startSample}..${startSample + numSamples} do not lie inside ${path}, which has ${available}`,
      );
    }
  }
}

/** Reads manifests; a source path is relative to its manifest. Blank lines are skipped. @throws {ManifestError} */
export function readManifests(paths: readonly string[], sampleRate: number): Utterance[] {
  return paths.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, i) => (line.trim() === '' ? [] : [parseLine(line, `${path}:${i + 1}`, path, sampleRate)])),
  );
}

function parseLine(line: string, where: string, manifest: string, sampleRate: number): Utterance {
  const { id, path, startSeconds, durationSeconds, exact } = parseCut(line, where, dirname(manifest));
  const startSample = exact?.startSample ?? Math.round(startSeconds * sampleRate);
  return { id, path, startSample, numSamples: exact?.numSamples ?? Math.round(durationSeconds * sampleRate) };
}

function openWav(path: string, sampleRate: number): OpenWav {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const available = header.subarray(0, readSync(file, header, 0, HEADER_BYTES, 0));
    const { dataOffset, dataBytes } = parseWavHeader(available, path, sampleRate);
    // A streamed file states no or a huge length: what is there counts.
    const bytes = Math.min(dataBytes, fstatSync(file).size - dataOffset);
    return { file, dataOffset, numSamples: Math.floor(bytes / 2) };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function parseWavHeader(header: Buffer, path: string, sampleRate: number): { dataOffset: number; dataBytes: number } {
  if (header.length < 12 || header.toString('latin1', 0, 4) !== 'RIFF' || header.toString('latin1', 8, 12) !== 'WAVE') {
    throw new TypeError(`${path}: expected a RIFF/WAVE file`);
  }
  for (let at = 12; at + 8 <= header.length;) {
    const name = header.toString('latin1', at, at + 4);
    const size = header.readUInt32LE(at + 4);
    if (name === 'data') return { dataOffset: at + 8, dataBytes: size };
    if (name === 'fmt ' && at + 24 <= header.length) checkFormat(header.subarray(at + 8), path, sampleRate);
    at += 8 + size + (size % 2);
  }
  throw new TypeError(`${path}: no data chunk within the first ${HEADER_BYTES} bytes`);
}

function checkFormat(fmt: Buffer, path: string, sampleRate: number): void {
  const got = `format ${fmt.readUInt16LE(0)}, ${fmt.readUInt16LE(2)} channels, ${fmt.readUInt32LE(4)} Hz, ${fmt.readUInt16LE(14)} bits`;
  const wanted = `format 1, 1 channels, ${sampleRate} Hz, 16 bits`;
  if (got !== wanted) throw new TypeError(`${path}: expected ${wanted}, got ${got}`);
}
