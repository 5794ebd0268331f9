import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { checkDimensions } from '../context.js';
import { GgmlError, ShapeError } from '../errors.js';
import type { Ggml } from '../ggml.js';
import type { Native, Pointer } from '../native.js';
import { TENSOR_TYPES, typeInfo, type TensorType } from '../tensor-type.js';
import { ARRAY_CLASSES, KIND_NUMBER, type GgufInput, type NumericArray, type NumericKind } from './types.js';

const ALIGNMENT = 32; // GGUF_DEFAULT_ALIGNMENT
const MAX_NAME_BYTES = 63;

/** A tensor to write: `data` holds the bytes of `type` in ggml's order. */
export interface GgufTensorInput {
  readonly name: string;
  readonly type: TensorType;
  readonly ne: readonly number[];
  /** The bytes, or what makes them when they are to be written: a large file need not be in memory as a whole. */
  readonly data: ArrayBufferView | (() => Promise<ArrayBufferView>);
}
export interface GgufContent {
  readonly metadata: Readonly<Record<string, GgufInput>>;
  readonly tensors: readonly GgufTensorInput[];
}

/** Writes a GGUF file: all of it or nothing, under a temporary name until it is complete. */
export async function writeGguf(ggml: Ggml, path: string, content: GgufContent): Promise<void> {
  checkTensors(content.tensors);
  const header = buildHeader(ggml.native, content);
  const temporary = `${path}.${process.pid}.part`;
  const file = await open(temporary, 'w');
  try {
    await writeAll(file, header);
    for (const tensor of content.tensors) {
      const data = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
      checkData(tensor, data);
      await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      await writeAll(file, new Uint8Array(-data.byteLength & (ALIGNMENT - 1)));
    }
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done)).bytesWritten;
  }
}

function checkTensors(tensors: readonly GgufTensorInput[]): void {
  const names = new Set<string>();
  for (const { name, type, ne, data } of tensors) {
    const bad = typeof name !== 'string' || !name || Buffer.byteLength(name) > MAX_NAME_BYTES || name.includes('\0');
    if (bad || names.has(name)) {
      throw new GgmlError(`writeGguf: expected distinct tensor names of 1 to 63 bytes, got ${JSON.stringify(name)}`);
    }
    names.add(name);
    checkDimensions(`writeGguf: "${name}"`, type, ne);
    if (typeof data !== 'function') checkData({ name, type, ne }, data);
  }
}

function checkData({ name, type, ne }: Omit<GgufTensorInput, 'data'>, data: ArrayBufferView): void {
  const { blockSize, blockBytes } = typeInfo(type, `writeGguf: "${name}"`);
  const bytes = (ne.reduce((product, n) => product * n, 1) / blockSize) * blockBytes;
  if (!ArrayBuffer.isView(data))
    throw new TypeError(`writeGguf: expected "${name}" as a typed array of ${bytes} bytes`);
  if (data.byteLength !== bytes) {
    throw new ShapeError(
      `writeGguf: expected ${bytes} bytes for "${name}", ${type}[${ne.join(', ')}], got ${data.byteLength}`,
    );
  }
}

/** ggml's rendering of the metadata and the tensor list, padded to where the data starts. */
function buildHeader(native: Native, { metadata, tensors }: GgufContent): Uint8Array {
  const { ggml, gguf } = native;
  const entries = Object.entries(metadata).map(([key, value]) => [checkedKey(key), checkedValue(key, value)] as const);
  const pointer = gguf.init_empty();
  const context = native.initContext(ggml.tensor_overhead() * (tensors.length + 1));
  if (!pointer || !context) throw new GgmlError('writeGguf: out of memory');
  try {
    for (const [key, value] of entries) setValue(native, pointer, key, value);
    for (const { name, type, ne } of tensors) {
      const tensor = ggml.new_tensor(context, TENSOR_TYPES[type].id, ne.length, ne);
      if (!tensor) throw new GgmlError('writeGguf: out of memory');
      ggml.set_name(tensor, name);
      gguf.add_tensor(pointer, tensor);
    }
    const header = new Uint8Array(gguf.get_meta_size(pointer));
    gguf.get_meta_data(pointer, header);
    return header;
  } finally {
    gguf.free(pointer);
    ggml.free(context);
  }
}

type CheckedValue =
  string | boolean | string[] | NumericArray | { readonly kind: NumericKind; readonly value: number | bigint };

function checkedKey(key: string): string {
  if (!key || key.includes('\0') || key === 'general.alignment') {
    throw new GgmlError(
      `writeGguf: expected a key that is not empty, nor general.alignment, got ${JSON.stringify(key)}`,
    );
  }
  return key;
}

function checkedValue(key: string, value: GgufInput): CheckedValue {
  const where = `writeGguf: metadata "${key}"`;
  const plain = (text: unknown): text is string => typeof text === 'string' && !text.includes('\0');
  if (typeof value === 'boolean' || plain(value)) return value;
  if (Array.isArray(value) && value.every(plain)) return value;
  if (typeof value === 'number') return scalar(where, numberKind(value), value);
  if (typeof value === 'bigint') return scalar(where, value < 0n ? 'i64' : 'u64', value);
  if (arrayKind(value) !== undefined) return value as NumericArray;
  if (value !== null && typeof value === 'object' && 'kind' in value) return scalar(where, value.kind, value.value);
  throw new TypeError(`${where}: expected a string, number, boolean, typed array, array of strings or { kind, value }`);
}

function numberKind(value: number): NumericKind {
  if (!Number.isSafeInteger(value)) return 'f64';
  return value >= 0 && value < 2 ** 32 ? 'u32' : 'i64';
}

/** A number that the kind holds exactly, or a float. */
function scalar(
  where: string,
  kind: NumericKind,
  value: number | bigint,
): { kind: NumericKind; value: number | bigint } {
  if (!Object.hasOwn(ARRAY_CLASSES, kind)) throw new TypeError(`${where}: unknown kind ${String(kind)}`);
  if (typeof value !== 'number' && typeof value !== 'bigint') throw new TypeError(`${where}: expected a number`);
  if (kind === 'f32' || kind === 'f64') return { kind, value: Number(value) };
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (isWhole) {
    const big = BigInt(value);
    const bits = Number(kind.slice(1));
    const wrapped = kind[0] === 'u' ? BigInt.asUintN(bits, big) : BigInt.asIntN(bits, big);
    if (wrapped === big) return { kind, value: bits === 64 ? big : Number(big) };
  }
  throw new RangeError(`${where}: ${String(value)} does not fit ${kind}`);
}

function arrayKind(value: unknown): NumericKind | undefined {
  const kinds = Object.keys(ARRAY_CLASSES) as NumericKind[];
  return kinds.find((kind) => value instanceof ARRAY_CLASSES[kind]);
}

function setValue({ gguf }: Native, pointer: Pointer, key: string, value: CheckedValue): void {
  if (typeof value === 'string') gguf.set_val_str(pointer, key, value);
  else if (typeof value === 'boolean') gguf.set_val_bool(pointer, key, value);
  else if (Array.isArray(value)) gguf.set_arr_str(pointer, key, value, value.length);
  else if (ArrayBuffer.isView(value)) {
    gguf.set_arr_data(pointer, key, KIND_NUMBER[arrayKind(value) ?? 'u8'], value, value.length);
  } else setScalar(gguf, pointer, key, value.kind, value.value);
}

function setScalar(
  gguf: Native['gguf'],
  pointer: Pointer,
  key: string,
  kind: NumericKind,
  value: number | bigint,
): void {
  if (kind === 'u64' || kind === 'i64') gguf[`set_val_${kind}`](pointer, key, value);
  else gguf[`set_val_${kind}`](pointer, key, Number(value));
}
