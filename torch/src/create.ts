import { arrayFor, dtypeCode, dtypeOfArray, type DType } from './dtype.js';
import { op, wrap } from './dispatch.js';
import { buffer, native, type NumericArray } from './native.js';
import type { Generator } from './random.js';
import type { Tensor } from './tensor.js';

/** Options of everything that makes a tensor; float32 on the CPU without them. */
export interface TensorOptions {
  readonly dtype?: DType;
  readonly device?: string;
}

/** Options of random tensors; without a generator, the default one that `manualSeed` seeds. */
export interface RandomOptions extends TensorOptions {
  readonly generator?: Generator;
}

const zerosOp = op('zeros');
const onesOp = op('ones');
const fullOp = op('full');
const emptyOp = op('empty', 'memory_format');
const arangeOp = op('arange', 'start_step');
const linspaceOp = op('linspace');
const randnOp = op('randn', 'generator');
const randOp = op('rand', 'generator');
const randintOp = op('randint', 'low_generator');
const randpermOp = op('randperm', 'generator');
const zerosLikeOp = op('zeros_like');
const onesLikeOp = op('ones_like');
const emptyLikeOp = op('empty_like');
const hannOp = op('hann_window', 'periodic');
const eyeOp = op('eye');

function fromArray(data: NumericArray, shape: readonly number[], dtype: DType, copy: boolean): Tensor {
  if (!shape.every((size) => Number.isInteger(size) && size >= 0))
    throw new RangeError(`tensor: expected sizes of 0 or more, got [${shape.join(', ')}]`);
  buffer.set(shape);
  return wrap(native.create(data, dtypeCode(dtype), shape.length, Number(copy)));
}

function fromNumbers(data: readonly number[] | readonly bigint[], dtype: DType): { array: NumericArray; as: DType } {
  const { array, as } = arrayFor(dtype, dtype === 'complex64' ? data.length / 2 : data.length);
  if (array instanceof BigInt64Array) array.set(data.map(BigInt));
  else (array as Float32Array).set(data.map(Number));
  return { array, as };
}

/**
 * A tensor that copies `data`, row-major. A typed array keeps its type and `dtype` converts from it; plain numbers are
 * float32 unless `dtype` says otherwise. Complex elements are pairs of numbers, raw bfloat16 a Uint16Array.
 * `shape` may be left out for one dimension.
 */
export function tensor(
  data: NumericArray | readonly number[] | readonly bigint[],
  shape?: readonly number[],
  dtype?: DType,
): Tensor {
  if (data instanceof Uint16Array) return fromArray(data, shape ?? [data.length], dtype ?? dtypeOfArray(data), true);
  const plain = Array.isArray(data);
  const { array, as } = plain
    ? fromNumbers(data, dtype ?? 'float32')
    : { array: data as NumericArray, as: sourceDtype(data as NumericArray, dtype) };
  const made = fromArray(array, shape ?? [as === 'complex64' ? array.length / 2 : array.length], as, true);
  if (dtype === undefined || dtype === as) return made;
  const converted = made.to(dtype);
  made.free();
  return converted;
}

// Pairs of float32 are complex64, bytes are booleans: the same memory under another name.
function sourceDtype(data: NumericArray, dtype: DType | undefined): DType {
  const natural = dtypeOfArray(data);
  if (dtype === 'complex64' && natural === 'float32') return dtype;
  if (dtype === 'bool' && natural === 'uint8') return dtype;
  return natural;
}

/**
 * A tensor over the array's own memory, without a copy: writes on either side show on the other. The array is kept
 * alive as long as the memory is in use; do not transfer its buffer to another thread meanwhile.
 */
export function fromBuffer(data: NumericArray, shape: readonly number[] = [data.length], dtype?: DType): Tensor {
  return fromArray(data, shape, dtype ?? dtypeOfArray(data), false);
}

function options({ dtype = 'float32', device = 'cpu' }: TensorOptions): { dtype: DType; device: string } {
  return { dtype, device };
}

/** Filled with 0. */
export function zeros(shape: readonly number[], opts: TensorOptions = {}): Tensor {
  return zerosOp(shape, options(opts));
}
/** Filled with 1. */
export function ones(shape: readonly number[], opts: TensorOptions = {}): Tensor {
  return onesOp(shape, options(opts));
}
/** Filled with `value`. */
export function full(shape: readonly number[], value: number, opts: TensorOptions = {}): Tensor {
  return fullOp(shape, value, options(opts));
}
/** Not filled: whatever the memory held. */
export function empty(shape: readonly number[], opts: TensorOptions = {}): Tensor {
  return emptyOp(shape, options(opts));
}
/** start, start + step, … before end; int64 unless a dtype is given. `arange(end)` starts at 0. */
export function arange(start: number, end?: number, step = 1, opts: TensorOptions = {}): Tensor {
  const bounds = end === undefined ? [0, start] : [start, end];
  return arangeOp(bounds[0], bounds[1], step, options({ dtype: 'int64', ...opts }));
}
/** `steps` values from `start` to `end`, both included. */
export function linspace(start: number, end: number, steps: number, opts: TensorOptions = {}): Tensor {
  return linspaceOp(start, end, steps, options(opts));
}
/** The identity matrix. */
export function eye(size: number, opts: TensorOptions = {}): Tensor {
  return eyeOp(size, options(opts));
}
/** Standard normal. */
export function randn(shape: readonly number[], opts: RandomOptions = {}): Tensor {
  return randnOp(shape, { ...options(opts), generator: opts.generator ?? null });
}
/** Uniform in [0, 1). */
export function rand(shape: readonly number[], opts: RandomOptions = {}): Tensor {
  return randOp(shape, { ...options(opts), generator: opts.generator ?? null });
}
/** Whole numbers in [low, high); int64 unless a dtype is given. */
export function randint(low: number, high: number, shape: readonly number[], opts: RandomOptions = {}): Tensor {
  return randintOp(low, high, shape, { ...options({ dtype: 'int64', ...opts }), generator: opts.generator ?? null });
}
/** 0 … count - 1 in random order; int64. */
export function randperm(count: number, opts: RandomOptions = {}): Tensor {
  return randpermOp(count, { ...options({ dtype: 'int64', ...opts }), generator: opts.generator ?? null });
}
/** Zeros of the other's shape, dtype and device, unless a dtype is given. */
export function zerosLike(like: Tensor, opts: TensorOptions = {}): Tensor {
  return zerosLikeOp(like, { ...opts });
}
/** Ones of the other's shape, dtype and device, unless a dtype is given. */
export function onesLike(like: Tensor, opts: TensorOptions = {}): Tensor {
  return onesLikeOp(like, { ...opts });
}
/** Standard normal of the other's shape, dtype and device. */
export function randnLike(like: Tensor, { generator, ...opts }: RandomOptions = {}): Tensor {
  return (emptyLikeOp(like, { ...opts }) as Tensor).normal_(0, 1, generator);
}
/** Hann window of an STFT, periodic. */
export function hannWindow(length: number, opts: TensorOptions = {}): Tensor {
  return hannOp(length, true, options(opts));
}
