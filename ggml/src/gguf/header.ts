import { GgmlError } from '../errors.js';
import { TENSOR_TYPES, typeOfId, type TensorType } from '../tensor-type.js';
import { VALUE_KINDS, type GgufTensor, type ValueKind } from './types.js';

// Bounds on untrusted files: far above any model's, low enough that a hostile file costs neither memory nor time.
// ggml compares every name with every other.
const MAX_KEYS = 4096;
const MAX_TENSORS = 16_384;
const MAX_NAME_BYTES = 63; // GGML_MAX_NAME - 1
const MAX_KEY_BYTES = 65_535; // of the GGUF specification
const MAX_STRING_BYTES = 1 << 24;
const MAX_ARRAY_ELEMENTS = 1 << 22;
const MAX_DIMENSION = 2 ** 31 - 1;
const MAX_ALIGNMENT = 1 << 20;
const DEFAULT_ALIGNMENT = 32;

/** Thrown when the bytes read so far do not hold the whole header. */
export class HeaderIncomplete extends Error {}

/** What was found in a header that passed every check. */
export interface GgufHeader {
  readonly tensors: readonly GgufTensor[];
  /** Bytes of the header: where tensor data starts. */
  readonly dataStart: number;
}

const fail = (problem: string): never => {
  throw new GgmlError(`GGUF: ${problem}; is the file complete, and is it a GGUF file?`);
};

/** Reads little-endian numbers from the start of a file and never past what there is. */
class Cursor {
  position = 0;
  readonly #view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    readonly fileBytes: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Steps over `count` bytes and returns where they start. */
  take(count: number, what: string): number {
    const start = this.position;
    if (count > this.fileBytes - start) fail(`the file ends inside ${what}, at byte ${this.fileBytes}`);
    if (count > this.bytes.byteLength - start) throw new HeaderIncomplete();
    this.position = start + count;
    return start;
  }

  u32(what: string): number {
    return this.#view.getUint32(this.take(4, what), true);
  }

  /** A 64-bit count of at most `maximum`. */
  count(what: string, maximum: number): number {
    const value = this.#view.getBigUint64(this.take(8, what), true);
    if (value > BigInt(maximum)) fail(`expected ${what} of at most ${maximum}, got ${value}`);
    return Number(value);
  }

  /** A string as raw bytes; a zero byte inside would make ggml see another string than we do. */
  string(what: string, maximum: number): Uint8Array {
    const length = this.count(`the length of ${what}`, maximum);
    const start = this.take(length, what);
    const bytes = this.bytes.subarray(start, start + length);
    if (bytes.includes(0)) fail(`${what} holds a zero byte`);
    return bytes;
  }

  name(what: string, maximum: number): string {
    const bytes = this.string(what, maximum);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return fail(`${what} is no UTF-8`);
    }
  }
}

/**
 * Checks everything that ggml's parser would trust: magic, version, counts, lengths, types, dimensions, offsets.
 * `bytes` is the start of a file of `fileBytes`; HeaderIncomplete asks for more of it.
 */
export function checkHeader(bytes: Uint8Array, fileBytes: number): GgufHeader {
  const cursor = new Cursor(bytes, fileBytes);
  const magic = cursor.u32('the magic number');
  if (magic !== 0x46554747) fail('the first four bytes are not GGUF');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3) fail(`expected version 2 or 3, got ${version}`);
  const tensorCount = cursor.count('the number of tensors', MAX_TENSORS);
  const keyCount = cursor.count('the number of keys', MAX_KEYS);
  const alignment = checkMetadata(cursor, keyCount);
  const tensors = readTensors(cursor, tensorCount);
  const dataStart = tensorCount ? align(cursor.position, alignment) : cursor.position;
  return { tensors: placeTensors(tensors, dataStart, alignment, fileBytes), dataStart };
}

const align = (position: number, alignment: number): number => Math.ceil(position / alignment) * alignment;

/** Walks over the key-value pairs; returns the alignment of tensor data. */
function checkMetadata(cursor: Cursor, count: number): number {
  const keys = new Set<string>();
  let alignment = DEFAULT_ALIGNMENT;
  for (let i = 0; i < count; i++) {
    const key = cursor.name(`key ${i}`, MAX_KEY_BYTES);
    if (!key || keys.has(key)) fail(`key ${i}, "${key}", is empty or there twice`);
    keys.add(key);
    const kind = valueKind(cursor, key);
    const start = cursor.position;
    if (kind === 'array') skipArray(cursor, key);
    else skipValue(cursor, key, kind);
    if (key !== 'general.alignment') continue;
    if (kind !== 'u32') fail('general.alignment is no u32');
    alignment = new DataView(cursor.bytes.buffer, cursor.bytes.byteOffset).getUint32(start, true);
    const powerOfTwo = alignment > 0 && (alignment & (alignment - 1)) === 0;
    if (!powerOfTwo || alignment > MAX_ALIGNMENT) fail(`expected a power of two as alignment, got ${alignment}`);
  }
  return alignment;
}

function valueKind(cursor: Cursor, key: string): ValueKind {
  const number = cursor.u32(`the type of "${key}"`);
  return VALUE_KINDS[number]?.[0] ?? fail(`"${key}" has an unknown type ${number}`);
}

function skipValue(cursor: Cursor, key: string, kind: ValueKind): void {
  if (kind === 'string') cursor.string(`"${key}"`, MAX_STRING_BYTES);
  else cursor.take(VALUE_KINDS.find(([name]) => name === kind)?.[1] ?? 0, `"${key}"`);
}

function skipArray(cursor: Cursor, key: string): void {
  const kind = valueKind(cursor, key);
  if (kind === 'array') fail(`"${key}" is an array of arrays`);
  const count = cursor.count(`the length of "${key}"`, MAX_ARRAY_ELEMENTS);
  if (kind !== 'string') {
    cursor.take(count * (VALUE_KINDS.find(([name]) => name === kind)?.[1] ?? 0), `"${key}"`);
    return;
  }
  for (let i = 0; i < count; i++) cursor.string(`"${key}"`, MAX_STRING_BYTES);
}

interface Unplaced {
  name: string;
  type: TensorType;
  ne: number[];
  offset: number;
}

function readTensors(cursor: Cursor, count: number): Unplaced[] {
  const names = new Set<string>();
  return Array.from({ length: count }, (_, i) => {
    const name = cursor.name(`the name of tensor ${i}`, MAX_NAME_BYTES);
    if (names.has(name)) fail(`tensor "${name}" is there twice`);
    names.add(name);
    const dimensions = cursor.u32(`the rank of "${name}"`);
    if (dimensions < 1 || dimensions > 4) fail(`"${name}" has ${dimensions} dimensions`);
    const ne = Array.from({ length: dimensions }, () => cursor.count(`a dimension of "${name}"`, MAX_DIMENSION));
    const number = cursor.u32(`the type of "${name}"`);
    const type = typeOfId(number) ?? fail(`"${name}" has type ${number}, which this package does not handle`);
    const { blockSize } = TENSOR_TYPES[type];
    const elements = ne.reduce((product, n) => product * n, 1);
    if (elements < 1 || elements > MAX_DIMENSION || ne[0] % blockSize) {
      fail(`"${name}" has dimensions [${ne.join(', ')}], impossible for ${type}`);
    }
    return { name, type, ne, offset: cursor.count(`the offset of "${name}"`, Number.MAX_SAFE_INTEGER) };
  });
}

/** Tensors follow one another without gaps but for the alignment, and end inside the file. */
function placeTensors(tensors: Unplaced[], dataStart: number, alignment: number, fileBytes: number): GgufTensor[] {
  let expected = 0;
  return tensors.map(({ name, type, ne, offset }) => {
    const { blockSize, blockBytes } = TENSOR_TYPES[type];
    const bytes = (ne.reduce((product, n) => product * n, 1) / blockSize) * blockBytes;
    if (offset !== expected) fail(`the data of "${name}" starts at ${offset} where ${expected} was expected`);
    if (dataStart + offset + bytes > fileBytes) fail(`the data of "${name}" passes the file's end, byte ${fileBytes}`);
    expected = align(offset + bytes, alignment);
    return { name, type, ne, position: dataStart + offset, bytes };
  });
}
