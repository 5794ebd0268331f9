import { extname } from 'node:path';
import { AudioError, type Audio } from './audio.js';
import { createFlacEncoder } from './flac-writer.js';
import { decodeFlac } from './flac.js';
import { decodeMp3 } from './mp3-reader.js';
import { createMp3Encoder } from './mp3-writer.js';
import { decodeOgg } from './ogg-reader.js';
import { createOpusEncoder } from './opus-writer.js';
import { decodeWav } from './wav-reader.js';
import { encodePcm16, wavHeader } from './wav-writer.js';

/** Sound that leaves piece by piece: `start`, then `chunk`s, then `end`. */
export interface StreamEncoder {
  /** The first bytes. With the number of samples left out they stand for a length that is not known yet, as in a pipe. */
  start(sampleCount?: number): Uint8Array;
  chunk(samples: Float32Array): Uint8Array;
  end(): Uint8Array;
  /** Frees what is held, in place of `end`. */
  abort?(): void;
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
    createEncoder: createFlacEncoder,
  },
  {
    name: 'MP3',
    extensions: ['.mp3'],
    matches: (head) => beginsWith(head, 'ID3') || (head[0] === 0xff && (head[1] & 0xe6) === 0xe2), // sync, layer III
    decode: decodeMp3,
    createEncoder: createMp3Encoder,
  },
  {
    name: 'Ogg',
    extensions: ['.opus', '.ogg', '.oga'],
    matches: (head) => beginsWith(head, 'OggS'),
    decode: decodeOgg,
    createEncoder: createOpusEncoder,
  },
  {
    name: 'raw PCM',
    extensions: ['.pcm', '.raw'],
    matches: () => false,
    createEncoder: async () => ({ start: () => EMPTY, chunk: encodePcm16, end: () => EMPTY }),
  },
];

/** Names of what can be written, as a flag has them. */
export const OUTPUT_FORMATS = AUDIO_FORMATS.filter((row) => row.createEncoder).map((row) => row.extensions[0].slice(1));

/**
 * The format that a name (see {@link OUTPUT_FORMATS}) or else the ending of a file name asks for.
 * @throws {AudioError} Where there is no such format that can be written.
 */
export function outputFormat(path: string, name?: string): AudioFormat & Required<Pick<AudioFormat, 'createEncoder'>> {
  const extension = name === undefined ? extname(path).toLowerCase() : `.${name.toLowerCase()}`;
  const format = AUDIO_FORMATS.find((row) => row.extensions.includes(extension));
  if (format?.createEncoder) return { ...format, createEncoder: format.createEncoder };
  if (name !== undefined) throw new AudioError(`format: expected one of ${OUTPUT_FORMATS.join(', ')}, got '${name}'`);
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
