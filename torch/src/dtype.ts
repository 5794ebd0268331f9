import type { NumericArray } from './native.js';

/** Element types; `bfloat16` and `float16` are read out as float32, `complex64` as interleaved float32 pairs. */
export type DType =
  | 'float32'
  | 'float64'
  | 'bfloat16'
  | 'float16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'complex64';

/** libtorch's numbers for them (c10::ScalarType). */
export const DTYPE_CODES: Readonly<Record<DType, number>> = {
  uint8: 0,
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  float16: 5,
  float32: 6,
  float64: 7,
  complex64: 9,
  bool: 11,
  bfloat16: 15,
};

const NAMES = new Map(Object.entries(DTYPE_CODES).map(([name, code]) => [code, name as DType]));

export function dtypeOf(code: number): DType {
  const name = NAMES.get(code);
  if (!name) throw new TypeError(`dtype: libtorch's type ${code} is none of ${Object.keys(DTYPE_CODES).join(', ')}`);
  return name;
}

export function dtypeCode(name: string): number {
  const code = DTYPE_CODES[name as DType];
  if (code === undefined)
    throw new TypeError(`dtype: expected one of ${Object.keys(DTYPE_CODES).join(', ')}, got ${name}`);
  return code;
}

/** Bytes of one element. */
export const ITEM_SIZES: Readonly<Record<DType, number>> = {
  uint8: 1,
  int8: 1,
  bool: 1,
  int16: 2,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  float32: 4,
  int64: 8,
  float64: 8,
  complex64: 8,
};

/** The dtype whose elements are laid out as the array's. */
export function dtypeOfArray(data: NumericArray): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Int16Array) return 'int16';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Uint8Array) return 'uint8';
  throw new TypeError(`tensor: ${data.constructor.name} needs a dtype (bfloat16 or float16 for raw Uint16Array)`);
}

/** An array that holds `length` elements of `dtype`, and the dtype that it is read as. */
export function arrayFor(dtype: DType, length: number): { array: NumericArray; as: DType } {
  switch (dtype) {
    case 'float64':
      return { array: new Float64Array(length), as: dtype };
    case 'int64':
      return { array: new BigInt64Array(length), as: dtype };
    case 'int32':
      return { array: new Int32Array(length), as: dtype };
    case 'int16':
      return { array: new Int16Array(length), as: dtype };
    case 'int8':
      return { array: new Int8Array(length), as: dtype };
    case 'uint8':
    case 'bool':
      return { array: new Uint8Array(length), as: dtype };
    case 'complex64':
      return { array: new Float32Array(2 * length), as: dtype };
    default:
      return { array: new Float32Array(length), as: 'float32' };
  }
}
