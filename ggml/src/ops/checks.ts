import type { Context } from '../context.js';
import { ShapeError } from '../errors.js';
import { contiguousFrom, Tensor } from '../tensor.js';
import { TENSOR_TYPES, type TensorType } from '../tensor-type.js';

/** Float types that arithmetic works on. */
export const FLOATS = ['f32', 'f16', 'bf16'] as const satisfies readonly TensorType[];

const MAX_INT = 2 ** 31 - 1;

/** `[ne0, ne1, ne2, ne3]` for messages. */
export const dims = (tensor: Tensor): string => `${tensor.type}[${tensor.ne.join(', ')}]`;

/** Throws a ShapeError that says where, what was expected and what was given. */
export function expectShape(ok: boolean, where: string, expected: string, ...got: Tensor[]): void {
  if (!ok) throw new ShapeError(`${where}: expected ${expected}, got ${got.map(dims).join(' and ')}`);
}

/** Every operand must be a tensor, alive, of the same library. */
export function expectTensors(context: Context, where: string, operands: Readonly<Record<string, Tensor>>): void {
  context.assertAlive(where);
  for (const [name, tensor] of Object.entries(operands)) {
    if (!(tensor instanceof Tensor)) {
      throw new TypeError(`${where}: expected a Tensor as ${name}, got ${tensor === null ? 'null' : typeof tensor}`);
    }
    tensor.assertAlive(where);
    if (tensor.context.native !== context.native) {
      throw new TypeError(`${where}: ${name} belongs to another copy of ggml`);
    }
  }
}

/** The element type must be one of `types`. */
export function expectType(where: string, name: string, tensor: Tensor, types: readonly TensorType[]): void {
  if (types.includes(tensor.type)) return;
  throw new TypeError(`${where}: expected ${name} of type ${types.join(', ')}, got ${tensor.describe()}`);
}

/** Elements of a row (dimension 0) must be neighbours. */
export function expectRows(where: string, name: string, tensor: Tensor): void {
  const { blockSize, blockBytes } = TENSOR_TYPES[tensor.type];
  const ok = tensor.ne[0] === blockSize || tensor.nb[0] === blockBytes;
  expectShape(ok, where, `${name} with contiguous rows (take cont() of it)`, tensor);
}

/** As expectRows, and exactly one element apart: kernels assert it even for rows of one element. */
export function expectUnitStride(where: string, name: string, tensor: Tensor): void {
  const ok = tensor.nb[0] === TENSOR_TYPES[tensor.type].blockBytes;
  expectShape(ok, where, `${name} with contiguous rows (take cont() of it)`, tensor);
}

/** Dimensions above `first` must follow without gaps. */
export function expectContiguous(where: string, name: string, tensor: Tensor, first = 0): void {
  expectShape(contiguousFrom(tensor, first), where, `${name} contiguous (take cont() of it)`, tensor);
}

/**
 * Every stride must be what a fresh tensor of the dimensions has. Stricter than contiguous: some kernels also look at the
 * strides of dimensions of one element, which permute() and view() may leave at anything.
 */
export function expectPacked(where: string, name: string, tensor: Tensor): void {
  const { blockSize, blockBytes } = TENSOR_TYPES[tensor.type];
  let next = blockBytes;
  const ok = tensor.nb.every((stride, i) => {
    const fits = stride === next;
    next *= i === 0 ? tensor.ne[0] / blockSize : tensor.ne[i];
    return fits;
  });
  expectShape(ok, where, `${name} contiguous (take cont() or reshape() of it)`, tensor);
}

/** A number that ggml takes as float. */
export function expectNumber(where: string, name: string, value: number, minimum = -Infinity): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= minimum) return;
  const least = minimum === -Infinity ? '' : ` of at least ${minimum}`;
  throw new RangeError(`${where}: expected ${name} to be a finite number${least}, got ${String(value)}`);
}

/** A number that ggml takes as int. */
export function expectInteger(where: string, name: string, value: number, minimum: number, maximum = MAX_INT): void {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  throw new RangeError(
    `${where}: expected ${name} to be an integer from ${minimum} to ${maximum}, got ${String(value)}`,
  );
}

/** True when `small` tiles `large` in every dimension (ggml_can_repeat). */
export const repeatsInto = (small: Tensor, large: { readonly ne: readonly number[] }): boolean =>
  small.ne.every((n, i) => large.ne[i] % n === 0);

/** True when all four dimensions are equal. */
export const sameShape = (a: Tensor, b: Tensor): boolean => a.ne.every((n, i) => b.ne[i] === n);

/** Options are an object. */
export function expectOptions(where: string, options: object): void {
  if (options !== null && typeof options === 'object') return;
  throw new TypeError(`${where}: expected an object of options, got ${String(options)}`);
}
