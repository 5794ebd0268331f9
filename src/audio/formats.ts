import { extname } from 'node:path';
import { AudioError, type Audio } from './audio.js';
import { decodeFlac } from './flac.js';
import { decodeWav } from './wav-reader.js';
import { encodePcm16, wavHeader } from './wav-writer.js';

/** Sound that leaves piece by piece: `start`, then `chunk`s, then `end`. */
export interface StreamEncoder {
  /** The first bytes. With the number of samples left out they stand for a length that is not known yet, as in a pipe. */
  start(sampleCount?: number): Uint8Array;
  chunk(samples: Float32Array): Uint8Array;
  end(): Uint8Array;
}

/** One row of the table of formats: what is missing cannot be done. */
export interface AudioFormat {
  name: string;
  /** With the dot, lower case. */
  extensions: string[];
  /** Does a file that begins with these bytes have this format? */
  matches(head: Uint8Array): boolean;
  decode?(bytes: Uint8Array, where: string): Promise<Audio>;
  createEncoder?(sampleRate: number): Promise<StreamEncoder>;
}

const EMPTY = new Uint8Array(0);
const beginsWith = (head: Uint8Array, text: string) =>
  Buffer.from(head.subarray(0, text.length)).toString('latin1') === text;

/** Every format there is; another is one more row. */
export const AUDIO_FORMATS: readonly AudioFormat[] = [
  {
    name: 'WAV',
    extensions: ['.wav', '.wave'],
    matches: (head) => beginsWith(head, 'RIFF') || beginsWith(head, 'RF64'),
    decode: async (bytes, where) => decodeWav(bytes, where),
    createEncoder: async (sampleRate) => ({
      start: (sampleCount) => wavHeader(sampleRate, sampleCount),
      chunk: encodePcm16,
      end: () => EMPTY,
    }),
  },
  {
    name: 'FLAC',
    extensions: ['.flac'],
    matches: (head) => beginsWith(head, 'fLaC'),
    decode: decodeFlac,
  },
  {
    name: 'raw PCM',
    extensions: ['.pcm', '.raw'],
    matches: () => false,
    createEncoder: async () => ({ start: () => EMPTY, chunk: encodePcm16, end: () => EMPTY }),
  },
];

/**
 * The format that a file name asks for.
 * @throws {AudioError} Where the extension names no format that can be written.
 */
export function outputFormat(path: string): AudioFormat & Required<Pick<AudioFormat, 'createEncoder'>> {
  const extension = extname(path).toLowerCase();
  const format = AUDIO_FORMATS.find((row) => row.extensions.includes(extension));
  if (format?.createEncoder) return { ...format, createEncoder: format.createEncoder };
  const known = AUDIO_FORMATS.filter((row) => row.createEncoder).flatMap((row) => row.extensions);
  throw new AudioError(`${path}: expected a name that ends with ${known.join(', ')}, got '${extension}'`);
}

/**
 * Decodes the bytes of a sound file; the content decides the format, not the name.
 * @throws {AudioError} On an unknown format or a damaged file.
 */
export async function decodeAudio(bytes: Uint8Array, where: string): Promise<Audio> {
  const format = AUDIO_FORMATS.find((row) => row.matches(bytes));
  if (format?.decode) return format.decode(bytes, where);
  const known = AUDIO_FORMATS.filter((row) => row.decode).map((row) => row.name);
  throw new AudioError(`${where}: expected a sound file (${known.join(', ')}), got something else`);
}
