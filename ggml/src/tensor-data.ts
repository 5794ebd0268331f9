import { ShapeError } from './errors.js';
import { dequantizeWith, quantizeAsyncWith, quantizeWith } from './quantize.js';
import type { Tensor } from './tensor.js';
import { TENSOR_TYPES, type TensorType } from './tensor-type.js';

/** What can be written into a tensor; see Tensor.set. */
export type TensorData =
  Float32Array | Float64Array | Int8Array | Int16Array | Int32Array | BigInt64Array | Uint16Array | Uint8Array;
/** What is read from a tensor: floats for float and quantized types, else integers of the type's width. */
export type TensorValues = Float32Array | Float64Array | Int8Array | Int16Array | Int32Array | BigInt64Array;

const VIEWS = {
  f32: Float32Array,
  f64: Float64Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
} as const;

/** The array class whose elements are the type's own, or undefined where there is none. */
function nativeArray(type: TensorType): (typeof VIEWS)[keyof typeof VIEWS] | undefined {
  return type in VIEWS ? VIEWS[type as keyof typeof VIEWS] : undefined;
}

/** The bytes that `data` becomes in `tensor` at element `offset`; wrong types, lengths and row numbers are errors. */
export function encodeFor(tensor: Tensor, data: TensorData, offset?: number): ArrayBufferView {
  return toConvert(tensor, data, offset) ? encodeFloats(tensor, data) : ownNumbers(tensor, data);
}

/** encodeFor() that packs on a worker thread. */
export async function encodeForAsync(tensor: Tensor, data: TensorData, offset?: number): Promise<ArrayBufferView> {
  if (!toConvert(tensor, data, offset)) return ownNumbers(tensor, data);
  if (tensor.type === 'f64') return encodeFloats(tensor, data);
  return quantizeAsyncWith(tensor.context.native, tensor.type, data, data.length);
}

/** True for floats that are to become another type. @throws for data that the tensor cannot take there. */
function toConvert(tensor: Tensor, data: TensorData, offset: number | undefined): data is Float32Array {
  const { blockSize, blockBytes, kind } = TENSOR_TYPES[tensor.type];
  const floats = data instanceof Float32Array && tensor.type !== 'f32' && kind !== 'integer';
  if (!floats) checkArrayType(tensor, data);
  const count = floats ? data.length : (data.byteLength / blockBytes) * blockSize;
  checkRange(tensor, count, offset);
  return floats;
}

function ownNumbers(tensor: Tensor, data: TensorData): ArrayBufferView {
  return tensor.type === 'i32' || tensor.type === 'i64' ? checkedIndices(tensor, data) : data;
}

function checkArrayType(tensor: Tensor, data: TensorData): void {
  const array = nativeArray(tensor.type);
  const bits = tensor.type === 'f16' || tensor.type === 'bf16';
  const isRaw = data instanceof Uint8Array;
  if (isRaw || (array && data instanceof array) || (bits && data instanceof Uint16Array)) return;
  const wanted = array ? array.name : bits ? 'Float32Array, Uint16Array' : 'Float32Array';
  const got = (data as unknown) === null ? 'null' : ((data as object | undefined)?.constructor?.name ?? typeof data);
  throw new TypeError(`set: expected ${wanted} or Uint8Array (raw bytes) for ${tensor.describe()}, got ${got}`);
}

function checkRange(tensor: Tensor, count: number, from: number | undefined): void {
  const { blockSize } = TENSOR_TYPES[tensor.type];
  const offset = from ?? 0;
  const whole = Number.isSafeInteger(offset) && offset >= 0 && offset % blockSize === 0;
  if (!whole || !Number.isInteger(count) || count % blockSize || offset + count > tensor.elements) {
    throw new ShapeError(
      `set: expected at most ${tensor.elements} elements in blocks of ${blockSize} for ${tensor.describe()}, ` +
        `got ${count} at offset ${String(offset)}`,
    );
  }
  if (from === undefined && count !== tensor.elements) {
    throw new ShapeError(
      `set: expected ${tensor.elements} elements for ${tensor.describe()}, got ${count}; ` +
        'give an offset to write a part',
    );
  }
}

function encodeFloats(tensor: Tensor, data: Float32Array): ArrayBufferView {
  if (tensor.type === 'f64') return Float64Array.from(data);
  // Blocks do not know of rows: a part is packed as one row of whole blocks.
  return quantizeWith(tensor.context.native, tensor.type, data, data.length);
}

/** Row numbers outside the table abort ggml in the middle of a computation, so they are checked where they enter. */
function checkedIndices(tensor: Tensor, data: TensorData): ArrayBufferView {
  const { root } = tensor;
  const values = integersOf(tensor.type, data);
  let maximum = 0;
  for (const item of values) {
    const value = Number(item);
    if (value < 0 ? root.indexLimit !== Infinity : value >= root.indexLimit) {
      throw new RangeError(
        `set: expected row numbers from 0 to ${root.indexLimit - 1} in ${tensor.describe()}, got ${value}`,
      );
    }
    if (value < 0) maximum = Infinity;
    else if (value > maximum) maximum = value;
  }
  root.indexMaximum = values.length === root.elements ? maximum : Math.max(maximum, root.indexMaximum);
  return values;
}

function integersOf(type: TensorType, data: TensorData): Int32Array | BigInt64Array {
  if (data instanceof Int32Array || data instanceof BigInt64Array) return data;
  const bytes = Uint8Array.from(data as Uint8Array);
  return type === 'i32' ? new Int32Array(bytes.buffer) : new BigInt64Array(bytes.buffer);
}

/** Raw bytes of a tensor as numbers. */
export function decodeFrom(tensor: Tensor, bytes: Uint8Array<ArrayBuffer>): TensorValues {
  const array = nativeArray(tensor.type);
  if (array) return new array(bytes.buffer);
  return dequantizeWith(tensor.context.native, tensor.type, bytes, tensor.elements);
}
