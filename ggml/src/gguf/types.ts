import type { TensorType } from '../tensor-type.js';

/** GGUF's kinds of metadata values by number, with their size in a file; strings and arrays are longer. */
export const VALUE_KINDS = [
  ['u8', 1],
  ['i8', 1],
  ['u16', 2],
  ['i16', 2],
  ['u32', 4],
  ['i32', 4],
  ['f32', 4],
  ['bool', 1],
  ['string', 0],
  ['array', 0],
  ['u64', 8],
  ['i64', 8],
  ['f64', 8],
] as const;
/** Name of a kind of metadata value. */
export type ValueKind = (typeof VALUE_KINDS)[number][0];
export const KIND_NUMBER = Object.fromEntries(VALUE_KINDS.map(([name], i) => [name, i])) as Record<ValueKind, number>;

/** Arrays in metadata, as typed arrays. */
export const ARRAY_CLASSES = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
} as const;
export type NumericKind = keyof typeof ARRAY_CLASSES;
export type NumericArray = InstanceType<(typeof ARRAY_CLASSES)[NumericKind]>;

/** A value as read: integers beyond 2^53 are bigints, arrays of numbers typed arrays, arrays of bools Uint8Arrays. */
export type GgufValue = string | number | bigint | boolean | NumericArray | string[];

/** A value to write: whole numbers become u32 or i64, others f64; `kind` says otherwise. */
export type GgufInput = GgufValue | { readonly kind: NumericKind; readonly value: number | bigint };

/** A tensor of a file. */
export interface GgufTensor {
  readonly name: string;
  readonly type: TensorType;
  /** Dimensions in ggml's order, one to four. */
  readonly ne: readonly number[];
  /** Position of the first byte in the file. */
  readonly position: number;
  readonly bytes: number;
}
