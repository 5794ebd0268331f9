import { open, type FileHandle } from 'node:fs/promises';
import { AudioError } from './audio.js';
import { decodeFlacStream } from './flac-stream.js';
import { parseStreamInfo } from './flac.js';
import { readAudio } from './read-audio.js';
import { findWavSound, mixDownWav } from './wav-reader.js';

/** A recording that is decoded block by block, however long it is. */
export interface AudioStream {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Samples of the whole recording; 0 where the file does not say. */
  readonly length: number;
  /** Mono blocks [N] in order; can be read once. */
  readonly blocks: AsyncGenerator<Float32Array>;
  close(): Promise<void>;
}

/** Headers fit here, pictures and comments before the sound of a WAV file included. */
const HEAD_BYTES = 2 ** 16;
/** Bytes of a file read at once. */
const PIECE_BYTES = 2 ** 17;

/**
 * Opens a sound file for reading it block by block: WAV and FLAC with flat memory, other formats in one block.
 * @throws {AudioError} One line that names the file; damage in the middle is found when it is reached.
 */
export async function openAudioStream(path: string): Promise<AudioStream> {
  const file = await openFile(path);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
    const { size } = await file.stat();
    const stream = await streamOf(file, head.subarray(0, bytesRead), size, path);
    return { ...stream, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new AudioError(`${path}: no such file`, { cause: error });
  }
  throw new AudioError(`${path}: expected a sound file, got something that is no regular file`);
}

async function streamOf(file: FileHandle, head: Uint8Array, size: number, path: string) {
  const magic = Buffer.from(head.subarray(0, 4)).toString('latin1');
  if (magic === 'fLaC') {
    const info = parseStreamInfo(head, path);
    const blocks = decodeFlacStream(pieces(file, 0, size), info, path);
    return { sampleRate: info.sampleRate, length: info.total, blocks };
  }
  if (magic === 'RIFF' || magic === 'RF64') return wavStream(file, head, size, path);
  const { samples, sampleRate } = await readAudio(path);
  return { sampleRate, length: samples.length, blocks: once(samples) };
}

function wavStream(file: FileHandle, head: Uint8Array, size: number, path: string) {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const { format, dataStart, dataBytes } = findWavSound(view, size, path);
  const frameBytes = format.bytesPerSample * format.channels;
  const length = Math.floor(dataBytes / frameBytes);
  const pieceBytes = Math.max(1, Math.floor(PIECE_BYTES / frameBytes)) * frameBytes;
  async function* blocks() {
    for await (const piece of pieces(file, dataStart, dataStart + length * frameBytes, pieceBytes))
      yield mixDownWav(new DataView(piece.buffer, piece.byteOffset, piece.byteLength), format, path);
  }
  return { sampleRate: format.sampleRate, length, blocks: blocks() };
}

async function* pieces(file: FileHandle, start: number, end: number, size = PIECE_BYTES): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += size) {
    const buffer = new Uint8Array(Math.min(size, end - at)); // FLAC's parser keeps what it was given
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* once(samples: Float32Array): AsyncGenerator<Float32Array> {
  yield samples;
}
