import { AudioError, checkSampleCount, checkSampleRate, type Audio } from './audio.js';

type Encoding = 'pcm8' | 'pcm16' | 'pcm24' | 'pcm32' | 'float32' | 'float64';

/** How the samples of a WAV file are stored. */
export interface WavFormat {
  encoding: Encoding;
  channels: number;
  sampleRate: number;
  bytesPerSample: number;
}

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_EXTENSIBLE = 0xfffe;
const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** Of a format chunk, no more than this is read. */
const FORMAT_BYTES = 40;

/** Writers to a pipe do not know the length and leave one of these in its place. */
const UNKNOWN_LENGTHS = new Set([0, 0x7ffff000, 0x7fffffff, 0xffffffff]);

/**
 * Decodes a WAV file (RIFF, or RF64 for long ones) and averages its channels.
 * @param bytes The whole file.
 * @param where The file's name, for errors.
 * @throws {AudioError} On anything but whole, plain WAV: PCM of 8, 16, 24 or 32 bits, or float of 32 or 64.
 */
export function decodeWav(bytes: Uint8Array, where = 'WAV'): Audio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { format, dataStart, dataBytes } = findWavSound(view, bytes.length, where);
  const frameBytes = format.bytesPerSample * format.channels;
  const count = Math.floor(dataBytes / frameBytes);
  checkSampleCount(where, count);
  const samples = mixDownWav(new DataView(view.buffer, view.byteOffset + dataStart, count * frameBytes), format, where);
  return { samples, sampleRate: format.sampleRate };
}

/**
 * Walks the chunks up to the sound.
 * @param view The file's beginning, or all of it.
 * @param length Bytes of the whole file.
 */
export function findWavSound(
  view: DataView,
  length: number,
  where: string,
): { format: WavFormat; dataStart: number; dataBytes: number } {
  const riff = view.byteLength >= RIFF_HEADER_BYTES ? tag(view, 0) : '';
  if ((riff !== 'RIFF' && riff !== 'RF64') || tag(view, 8) !== 'WAVE')
    throw new AudioError(`${where}: not a WAV file, it does not begin with RIFF … WAVE`);
  let format: WavFormat | undefined;
  let longDataBytes: number | undefined;
  let offset = RIFF_HEADER_BYTES;
  while (offset + CHUNK_HEADER_BYTES <= view.byteLength) {
    const name = tag(view, offset);
    const size = view.getUint32(offset + 4, true);
    const start = offset + CHUNK_HEADER_BYTES;
    if (name === 'data') {
      if (!format) throw new AudioError(`${where}: the sound stands before its format; the file is damaged`);
      return { format, dataStart: start, dataBytes: soundBytes(longDataBytes ?? size, length - start, where) };
    }
    if (start + size > length) break;
    if (start + Math.min(size, FORMAT_BYTES) > view.byteLength) break; // what is read of a chunk is there
    if (name === 'fmt ') format = parseFormat(view, start, size, where);
    if (name === 'ds64' && size >= 16) longDataBytes = Number(view.getBigUint64(start + 8, true));
    offset = start + size + (size & 1); // chunks begin at even offsets
  }
  const known = view.byteLength < length ? `no sound within the first ${view.byteLength} bytes` : `the file ends after ${length} bytes, before any sound; it is truncated`; // prettier-ignore
  throw new AudioError(`${where}: ${known}`);
}

function soundBytes(declared: number, present: number, where: string): number {
  if (declared <= present && declared > 0) return declared;
  if (UNKNOWN_LENGTHS.has(declared)) return present;
  throw new AudioError(
    `${where}: the header promises ${declared} bytes of sound, the file has ${present}; it is truncated`,
  );
}

function parseFormat(view: DataView, start: number, size: number, where: string): WavFormat {
  if (size < 16) throw new AudioError(`${where}: expected a format chunk of at least 16 bytes, got ${size}`);
  let code = view.getUint16(start, true);
  const channels = view.getUint16(start + 2, true);
  const sampleRate = view.getUint32(start + 4, true);
  const frameBytes = view.getUint16(start + 12, true);
  const bits = view.getUint16(start + 14, true);
  if (code === FORMAT_EXTENSIBLE && size >= 26) code = view.getUint16(start + 24, true);
  const encoding = encodingOf(code, bits, where);
  if (channels === 0) throw new AudioError(`${where}: expected at least one channel, got none`);
  checkSampleRate(where, sampleRate);
  const bytesPerSample = bits / 8;
  if (frameBytes !== channels * bytesPerSample)
    throw new AudioError(
      `${where}: ${channels} channels of ${bits} bits need ${channels * bytesPerSample} bytes, the header says ${frameBytes}`,
    );
  return { encoding, channels, sampleRate, bytesPerSample };
}

function encodingOf(code: number, bits: number, where: string): Encoding {
  if (code === FORMAT_PCM && [8, 16, 24, 32].includes(bits)) return `pcm${bits}` as Encoding;
  if (code === FORMAT_FLOAT && [32, 64].includes(bits)) return `float${bits}` as Encoding;
  throw new AudioError(
    `${where}: expected PCM of 8, 16, 24 or 32 bits or float of 32 or 64, got format ${code} of ${bits} bits`,
  );
}

/** Reads one sample at a byte offset, scaled to [-1, 1]. */
const READ: Record<Encoding, (view: DataView, offset: number) => number> = {
  pcm8: (view, offset) => (view.getUint8(offset) - 128) / 2 ** 7,
  pcm16: (view, offset) => view.getInt16(offset, true) / 2 ** 15,
  pcm24: (view, offset) => ((view.getInt8(offset + 2) << 16) | view.getUint16(offset, true)) / 2 ** 23,
  pcm32: (view, offset) => view.getInt32(offset, true) / 2 ** 31,
  float32: (view, offset) => view.getFloat32(offset, true),
  float64: (view, offset) => view.getFloat64(offset, true),
};

/** Frames of interleaved channels -> their mean, [N]. @throws {AudioError} for floats that are not finite */
export function mixDownWav(view: DataView, format: WavFormat, where: string): Float32Array {
  const { channels, bytesPerSample } = format;
  const count = Math.floor(view.byteLength / bytesPerSample / channels);
  const read = READ[format.encoding];
  const samples = new Float32Array(count);
  let offset = 0;
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, offset += bytesPerSample) sum += read(view, offset);
    samples[i] = sum / channels;
  }
  if (format.encoding.startsWith('float') && !samples.every(Number.isFinite))
    throw new AudioError(`${where}: some samples are not finite numbers; the file is damaged`);
  return samples;
}

function tag(view: DataView, offset: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(offset + i)));
}
