import { availableParallelism } from 'node:os';
import koffi from 'koffi';
import { GgmlError, ShapeError } from './errors.js';
import type { Native } from './native.js';
import { TENSOR_TYPES, typeInfo, type TensorType } from './tensor-type.js';
import { watched } from './watch.js';
import { onWorker } from './worker.js';

/** Types that floats can be packed into without an importance matrix. */
export const PACKED_TYPES = [
  'f16', 'bf16', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'q8_0', 'q2_K', 'q3_K', 'q4_K', 'q5_K', 'q6_K', 'iq4_nl', 'iq4_xs',
] as const; // prettier-ignore
/** A type that quantize() produces. */
export type PackedType = (typeof PACKED_TYPES)[number];

/** Checks a request to pack `values` in rows of `columns`; returns the number of rows. */
function checkPacking(where: string, type: TensorType, values: Float32Array, columns: number): number {
  if (!(PACKED_TYPES as readonly string[]).includes(type)) {
    throw new TypeError(`${where}: expected a type of ${PACKED_TYPES.join(', ')}, got ${String(type)}`);
  }
  if (!(values instanceof Float32Array)) throw new TypeError(`${where}: expected a Float32Array`);
  const { blockSize } = typeInfo(type);
  if (!Number.isSafeInteger(columns) || columns < 1 || columns % blockSize) {
    throw new ShapeError(`${where}: expected rows of a multiple of ${blockSize} elements for ${type}, got ${columns}`);
  }
  if (values.length % columns) {
    throw new ShapeError(`${where}: expected whole rows of ${columns} elements, got ${values.length} elements`);
  }
  return values.length / columns;
}

const packedBytes = (type: TensorType, elements: number): number =>
  (elements / TENSOR_TYPES[type].blockSize) * TENSOR_TYPES[type].blockBytes;

/** Packs row-major floats, rows of `columns`, into the bytes of `type`. */
export function quantizeWith(native: Native, type: TensorType, values: Float32Array, columns: number): Uint8Array {
  const rows = checkPacking('quantize', type, values, columns);
  const packed = new Uint8Array(packedBytes(type, values.length));
  native.ggml.quantize_chunk(TENSOR_TYPES[type].id, values, packed, 0, rows, columns, null);
  return packed;
}

/** Elements below which another thread costs more than it saves. */
const SMALLEST_SHARE = 1 << 18;

/** quantizeWith on worker threads, a share of the rows each. The values must not change until it resolves. */
export async function quantizeAsyncWith(
  native: Native,
  type: TensorType,
  values: Float32Array,
  columns: number,
): Promise<Uint8Array> {
  const rows = checkPacking('quantizeAsync', type, values, columns);
  const packed = new Uint8Array(packedBytes(type, values.length));
  const share = Math.max(Math.ceil(rows / availableParallelism()), Math.ceil(SMALLEST_SHARE / columns));
  const shares: Promise<unknown>[] = [];
  for (let row = 0; row < rows; row += share) {
    const count = Math.min(share, rows - row);
    const { id } = TENSOR_TYPES[type];
    shares.push(onWorker(native.ggml.quantize_chunk, id, values, packed, row * columns, count, columns, null));
  }
  await Promise.all(shares);
  return packed;
}

const TO_FLOAT = koffi.proto('void', ['void*', 'void*', 'int64_t']);
interface ToFloat {
  (packed: Uint8Array, values: Float32Array, count: number): void;
  async: (
    packed: Uint8Array,
    values: Float32Array,
    count: number,
    done: (error: Error | null, result: unknown) => void,
  ) => void;
}
// struct ggml_type_traits { const char* name; int64 block; int64 interleave; size_t size; bool quantized; to_float; ... }
const TRAITS_BLOCK_OFFSET = 8;
const TRAITS_SIZE_OFFSET = 24;
const TRAITS_TO_FLOAT_OFFSET = 40;
const converters = new WeakMap<Native, Map<TensorType, ToFloat>>();

/** ggml's own row decoder of a type; the struct is verified before its function pointer is believed. */
function toFloat(native: Native, type: TensorType): ToFloat {
  const known = converters.get(native) ?? new Map<TensorType, ToFloat>();
  converters.set(native, known);
  const cached = known.get(type);
  if (cached) return cached;
  const { id, blockSize, blockBytes } = TENSOR_TYPES[type];
  const traits = native.ggml.get_type_traits(id);
  const address = traits && koffi.decode(traits, TRAITS_TO_FLOAT_OFFSET, 'void*');
  const expected =
    traits &&
    koffi.decode(traits, TRAITS_BLOCK_OFFSET, 'int64_t') === blockSize &&
    koffi.decode(traits, TRAITS_SIZE_OFFSET, 'size_t') === blockBytes;
  if (!address || !expected) {
    throw new GgmlError(`dequantize: this build of ggml has no decoder for ${type} where one is expected`);
  }
  const convert = watched('to_float', koffi.decode(address, TO_FLOAT) as ToFloat, native.onCall);
  known.set(type, convert);
  return convert;
}

/** Unpacks the bytes of `count` elements of `type` into floats. */
export function dequantizeWith(native: Native, type: TensorType, packed: Uint8Array, count: number): Float32Array {
  checkPacked(type, packed, count);
  const values = new Float32Array(count);
  if (count === 0) return values;
  if (type === 'f32') return new Float32Array(packed.slice().buffer);
  toFloat(native, type)(packed, values, count);
  return values;
}

/** dequantizeWith on a worker thread. The bytes must not change until it resolves; those of f32 are not copied where aligned. */
export async function dequantizeAsyncWith(
  native: Native,
  type: TensorType,
  packed: Uint8Array,
  count: number,
): Promise<Float32Array> {
  checkPacked(type, packed, count);
  if (type === 'f32' && packed.byteOffset % 4 === 0) return new Float32Array(packed.buffer, packed.byteOffset, count);
  if (type === 'f32' || count === 0) return dequantizeWith(native, type, packed, count);
  const values = new Float32Array(count);
  await onWorker(toFloat(native, type), packed, values, count);
  return values;
}

function checkPacked(type: TensorType, packed: Uint8Array, count: number): void {
  const { kind, blockSize } = typeInfo(type, 'dequantize');
  if (kind === 'integer' || type === 'f64') throw new TypeError(`dequantize: expected a float type, got ${type}`);
  if (!(packed instanceof Uint8Array)) throw new TypeError('dequantize: expected a Uint8Array');
  if (
    !Number.isSafeInteger(count) ||
    count < 0 ||
    count % blockSize ||
    packed.byteLength !== packedBytes(type, count)
  ) {
    throw new ShapeError(
      `dequantize: expected the bytes of ${String(count)} ${type} elements, got ${packed.byteLength} bytes`,
    );
  }
}
