import { GgmlError } from './errors.js';

interface TypeInfo {
  /** ggml's enum ggml_type. */
  readonly id: number;
  /** Elements in a block: rows of a tensor hold whole blocks. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
  readonly kind: 'float' | 'integer' | 'quantized';
}

const type = (id: number, blockSize: number, blockBytes: number, kind: TypeInfo['kind']): TypeInfo => ({
  id,
  blockSize,
  blockBytes,
  kind,
});

/** Every element type that this package handles, with ggml's number and its block layout. */
export const TENSOR_TYPES = {
  f32: type(0, 1, 4, 'float'),
  f16: type(1, 1, 2, 'float'),
  bf16: type(30, 1, 2, 'float'),
  f64: type(28, 1, 8, 'float'),
  i8: type(24, 1, 1, 'integer'),
  i16: type(25, 1, 2, 'integer'),
  i32: type(26, 1, 4, 'integer'),
  i64: type(27, 1, 8, 'integer'),
  q4_0: type(2, 32, 18, 'quantized'),
  q4_1: type(3, 32, 20, 'quantized'),
  q5_0: type(6, 32, 22, 'quantized'),
  q5_1: type(7, 32, 24, 'quantized'),
  q8_0: type(8, 32, 34, 'quantized'),
  q2_K: type(10, 256, 84, 'quantized'),
  q3_K: type(11, 256, 110, 'quantized'),
  q4_K: type(12, 256, 144, 'quantized'),
  q5_K: type(13, 256, 176, 'quantized'),
  q6_K: type(14, 256, 210, 'quantized'),
  iq4_nl: type(20, 32, 18, 'quantized'),
  iq4_xs: type(23, 256, 136, 'quantized'),
} as const satisfies Record<string, TypeInfo>;

/** Name of an element type, as ggml writes it. */
export type TensorType = keyof typeof TENSOR_TYPES;

/** Every type name, in the table's order. */
export const TENSOR_TYPE_NAMES = Object.keys(TENSOR_TYPES) as TensorType[];

/** Layout of `name`; a TypeError names the allowed set when it is none of them. */
export function typeInfo(name: TensorType, where = 'type'): TypeInfo {
  if (typeof name === 'string' && Object.hasOwn(TENSOR_TYPES, name)) return TENSOR_TYPES[name];
  throw new TypeError(`${where}: expected a tensor type of ${TENSOR_TYPE_NAMES.join(', ')}, got ${String(name)}`);
}

/** The type that ggml numbers `id`, or undefined for one that this package does not handle. */
export function typeOfId(id: number): TensorType | undefined {
  return TENSOR_TYPE_NAMES.find((name) => TENSOR_TYPES[name].id === id);
}

/** Bytes of a row of `length` elements; a row that is no whole number of blocks is an error. */
export function rowBytes(name: TensorType, length: number): number {
  const { blockSize, blockBytes } = typeInfo(name);
  if (length % blockSize) {
    throw new GgmlError(`${name}: expected rows of a multiple of ${blockSize} elements, got ${length}`);
  }
  return (length / blockSize) * blockBytes;
}

/** True for block-quantized types. */
export const isQuantized = (name: TensorType): boolean => TENSOR_TYPES[name].kind === 'quantized';
