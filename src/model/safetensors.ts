import { open, type FileHandle } from 'node:fs/promises';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { CheckpointError } from './errors.js';

/** Element types that we read and write; their bytes are little-endian. */
export type SafetensorsType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

/** A named array: `bytes.byteLength` is the shape's product times the type's size. */
export interface SafetensorsArray {
  dtype: SafetensorsType;
  shape: number[];
  bytes: Uint8Array;
}

export interface SafetensorsFile {
  tensors: Map<string, SafetensorsArray>;
  metadata: Record<string, string>;
}

const TYPE_BYTES: Record<SafetensorsType, number> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1, // prettier-ignore
};

/** The format's own bound; a header of a hostile file is not read past it. */
const MAX_HEADER_BYTES = 100 << 20;
/** Systems read no more than 2 GiB at once. */
const LONGEST_READ_BYTES = 1 << 30;
/** The header's length stands before it. */
const LENGTH_BYTES = 8;

interface HeaderEntry {
  dtype: SafetensorsType;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * Reads a safetensors file; every length and offset is checked before memory is taken.
 * @throws {CheckpointError} for a file that is truncated or is none.
 */
export function readSafetensors(path: string): SafetensorsFile {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    const length = headerLength(readBytes(file, 0, Math.min(size, LENGTH_BYTES), path), size, path);
    const { entries, metadata } = parseHeader(readBytes(file, LENGTH_BYTES, length, path), size, path);
    const tensors = new Map<string, SafetensorsArray>();
    for (const { name, dtype, shape, begin, end } of entries)
      tensors.set(name, { dtype, shape, bytes: readBytes(file, begin, end - begin, path) });
    return { tensors, metadata };
  } finally {
    closeSync(file);
  }
}

/** readSafetensors() on the system's worker threads: hundreds of megabytes are read without holding anything up. */
export async function readSafetensorsAsync(path: string): Promise<SafetensorsFile> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const length = headerLength(await readBytesAsync(file, 0, Math.min(size, LENGTH_BYTES), path), size, path);
    const { entries, metadata } = parseHeader(await readBytesAsync(file, LENGTH_BYTES, length, path), size, path);
    const tensors = new Map<string, SafetensorsArray>();
    for (const { name, dtype, shape, begin, end } of entries)
      tensors.set(name, { dtype, shape, bytes: await readBytesAsync(file, begin, end - begin, path) });
    return { tensors, metadata };
  } finally {
    await file.close();
  }
}

function notWhole(path: string, what: string): CheckpointError {
  return new CheckpointError(`${path}: ${what}; is this a safetensors file, and is it whole?`);
}

/** Bytes of the header that the first eight bytes announce. */
function headerLength(first: Uint8Array, size: number, path: string): number {
  if (size < LENGTH_BYTES) throw notWhole(path, `expected at least ${LENGTH_BYTES} bytes, got ${size}`);
  const length = Number(new DataView(first.buffer).getBigUint64(0, true));
  if (length > Math.min(size - LENGTH_BYTES, MAX_HEADER_BYTES))
    throw notWhole(path, `header of ${length} bytes in a file of ${size}`);
  return length;
}

/** The header's entries, checked, with their positions in the file of `size` bytes. */
function parseHeader(header: Uint8Array, size: number, path: string) {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(header));
  } catch {
    throw notWhole(path, 'the header is not JSON');
  }
  if (typeof json !== 'object' || json === null) throw notWhole(path, 'the header is not an object');
  const { __metadata__: metadata = {}, ...entries } = json as Record<string, unknown>;
  const start = LENGTH_BYTES + header.byteLength;
  return {
    metadata: metadata as Record<string, string>,
    entries: Object.entries(entries).map(([name, entry]) => checkEntry(name, entry, { start, size, path })),
  };
}

function checkEntry(
  name: string,
  value: unknown,
  { start, size, path }: { start: number; size: number; path: string },
) {
  const dataBytes = size - start;
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as HeaderEntry;
  const width = TYPE_BYTES[dtype];
  if (width === undefined)
    throw new CheckpointError(`${path}: ${name} has type ${dtype}; known: ${Object.keys(TYPE_BYTES)}`);
  const whole = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(whole) || !Array.isArray(offsets) || !offsets.every(whole))
    throw new CheckpointError(`${path}: ${name} has a damaged header entry`);
  const [begin, end] = offsets;
  const expected = shape.reduce((a, b) => a * b, width);
  if (end > dataBytes)
    throw new CheckpointError(`${path}: ${name} ends at byte ${end} of ${dataBytes}; the file is truncated`);
  if (end - begin !== expected)
    throw new CheckpointError(`${path}: ${name} [${shape}] ${dtype} needs ${expected} bytes, got ${end - begin}`);
  return { name, dtype, shape, begin: start + begin, end: start + end };
}

function readBytes(file: number, position: number, length: number, path: string): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(file, bytes, done, Math.min(length - done, LONGEST_READ_BYTES), position + done);
    if (count === 0) throw new CheckpointError(`${path}: ended at byte ${position + done}; the file is truncated`);
    done += count;
  }
  return bytes;
}

async function readBytesAsync(file: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const wanted = Math.min(length - done, LONGEST_READ_BYTES);
    const { bytesRead } = await file.read(bytes, done, wanted, position + done);
    if (bytesRead === 0) throw new CheckpointError(`${path}: ended at byte ${position + done}; the file is truncated`);
    done += bytesRead;
  }
  return bytes;
}

/** Writes a safetensors file beside `path`, flushes it to disk and renames it into place: never half a file. */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsArray>,
  metadata: Record<string, string> = {},
): void {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    const expected = shape.reduce((a, b) => a * b, TYPE_BYTES[dtype]);
    if (bytes.byteLength !== expected)
      throw new RangeError(
        `writeSafetensors: ${name} [${shape}] ${dtype} needs ${expected} bytes, got ${bytes.byteLength}`,
      );
    header[name] = { dtype, shape, data_offsets: [offset, (offset += bytes.byteLength)] };
  }
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(text.length + ((8 - (Buffer.byteLength(text) % 8)) % 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  writeWhole(path, [length, json, ...[...tensors.values()].map(({ bytes }) => bytes)]);
}

/** Writes the parts to a new file beside `path`, flushes it to disk and renames it into place. */
export function writeWhole(path: string, parts: Uint8Array[]): void {
  const temporary = `${path}.${process.pid}.part`;
  const file = openSync(temporary, 'w');
  try {
    try {
      for (const part of parts) for (let done = 0; done < part.byteLength;) done += writeSync(file, part, done);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The values of a floating-point array as float32 (a view where it is one already). */
export function toFloat32({ dtype, bytes }: SafetensorsArray): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (dtype === 'F64') return Float32Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8));
  const half = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const values = new Float32Array(half.length);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(values.buffer);
    for (let i = 0; i < half.length; i++) bits[i] = half[i] << 16;
    return values;
  }
  if (dtype === 'F16') {
    halves ??= Float32Array.from({ length: 1 << 16 }, (_, h) => halfToFloat(h));
    for (let i = 0; i < half.length; i++) values[i] = halves[half[i]];
    return values;
  }
  throw new TypeError(`toFloat32: expected F64, F32, F16 or BF16, got ${dtype}`);
}

/** Every float16 by its bits: looking one up takes a fiftieth of the time of computing it. */
let halves: Float32Array | undefined;

function halfToFloat(h: number): number {
  const [sign, exponent, fraction] = [h & 0x8000 ? -1 : 1, (h >> 10) & 31, h & 1023];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** float32 values as an array of the given type, rounded to the nearest even. */
export function fromFloat32(
  values: Float32Array,
  shape: number[],
  dtype: 'F32' | 'F16' | 'BF16' = 'F32',
): SafetensorsArray {
  const view = (array: Float32Array | Uint16Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (dtype === 'F32') return { dtype, shape, bytes: view(values) };
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return { dtype, shape, bytes: view(Uint16Array.from(bits, dtype === 'BF16' ? roundToBfloat16 : roundToHalf)) };
}

function roundToBfloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // past the largest half: infinity
  if (magnitude < 0x38800000) {
    // subnormal: an integer count of 2^-24, rounded to even
    const scaled = new Float32Array(new Uint32Array([magnitude]).buffer)[0] * 2 ** 24;
    const floor = Math.floor(scaled);
    const up = scaled - floor > 0.5 || (scaled - floor === 0.5 && floor % 2 === 1);
    return sign | (floor + (up ? 1 : 0));
  }
  const rebased = magnitude - 0x38000000; // exponent bias 127 -> 15
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}
