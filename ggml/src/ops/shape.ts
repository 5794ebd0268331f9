import { checkDimensions, type Context } from '../context.js';
import { ShapeError } from '../errors.js';
import type { Dimensions, Tensor } from '../tensor.js';
import { isQuantized, rowBytes, TENSOR_TYPES, typeInfo, type TensorType } from '../tensor-type.js';
import {
  dims,
  expectContiguous,
  expectInteger,
  expectOptions,
  expectPacked,
  expectShape,
  expectTensors,
  expectType,
  expectUnitStride,
  FLOATS,
  sameShape,
} from './checks.js';
import { inPlace, like } from './results.js';

const MAX_INT = 2 ** 31 - 1;

/** The same elements under other dimensions (one to four); a must be contiguous. No copy. */
export function reshape(context: Context, a: Tensor, ...ne: number[]): Tensor {
  expectTensors(context, 'reshape', { a });
  const dimensions = checkDimensions('reshape', a.type, ne);
  const [n0, n1, n2, n3] = dimensions;
  expectContiguous('reshape', 'a', a);
  expectShape(n0 * n1 * n2 * n3 === a.elements, 'reshape', `a of as many elements as [${ne.join(', ')}]`, a);
  const result = { type: a.type, ne: dimensions, viewOf: a, offset: a.offset };
  return context.make('reshape', [a], result, 'reshape_4d', a, ...dimensions);
}

/** Where a view lies: all in elements of the viewed tensor's type, so that no byte sizes are written out by hand. */
export interface ViewOptions {
  /** First element, counted in the memory of `a` (default 0). */
  readonly offset?: number;
  /** Elements from one index to the next of dimensions 1, 2 and 3; by default without gaps. */
  readonly strides?: readonly number[];
}

/** A window into a's memory, of dimensions `ne`. No copy; it must lie inside the tensor that owns the memory. */
export function view(context: Context, a: Tensor, ne: readonly number[], options: ViewOptions = {}): Tensor {
  expectTensors(context, 'view', { a });
  expectOptions('view', options);
  const dimensions = checkDimensions('view', a.type, ne);
  const strides = viewStrides(a, dimensions, options.strides ?? []);
  const { blockSize, blockBytes } = TENSOR_TYPES[a.type];
  const first = options.offset ?? 0;
  expectInteger('view', 'offset', first, 0, Number.MAX_SAFE_INTEGER);
  if (first % blockSize) throw new ShapeError(`view: expected an offset in multiples of ${blockSize}, got ${first}`);
  const offset = (first / blockSize) * blockBytes;
  expectInside(a, dimensions, strides, offset);
  const nb = [blockBytes, ...strides] as const;
  const result = { type: a.type, ne: dimensions, nb, viewOf: a, offset: a.offset + offset };
  return context.make('view', [a], result, 'view_4d', a, ...dimensions, ...strides, offset);
}

/** Byte strides of dimensions 1 to 3. */
function viewStrides(a: Tensor, ne: readonly number[], given: readonly number[]): [number, number, number] {
  const { blockSize, blockBytes } = TENSOR_TYPES[a.type];
  if (!Array.isArray(given) || given.length > 3) throw new ShapeError('view: expected up to three strides');
  const strides: number[] = [];
  let next = rowBytes(a.type, ne[0]);
  for (let i = 0; i < 3; i++) {
    if (given[i] !== undefined) {
      expectInteger('view', `stride of dimension ${i + 1}`, given[i], 1);
      if (given[i] % blockSize) {
        throw new ShapeError(`view: expected strides in multiples of ${blockSize} elements, got ${given[i]}`);
      }
      next = (given[i] / blockSize) * blockBytes;
    }
    strides.push(next);
    next *= ne[i + 1];
  }
  return [strides[0], strides[1], strides[2]];
}

/** Neither the view's last element nor, as ggml asserts, its size without gaps may pass the end of the memory. */
function expectInside(a: Tensor, ne: readonly number[], strides: readonly number[], offset: number): void {
  const row = rowBytes(a.type, ne[0]);
  const extent = row + strides.reduce((sum, stride, i) => sum + (ne[i + 1] - 1) * stride, 0);
  const packed = row * ne[1] * ne[2] * ne[3];
  const end = a.offset + offset + Math.max(extent, packed);
  if (end > a.root.bytes) {
    throw new ShapeError(
      `view: expected a view inside the ${a.root.bytes} bytes of ${dims(a.root)}, ` +
        `got [${ne.join(', ')}] that ends at byte ${end}`,
    );
  }
}

/** Dimension i of a becomes dimension axes[i]. No copy. */
export function permute(context: Context, a: Tensor, ...axes: [number, number, number, number]): Tensor {
  expectTensors(context, 'permute', { a });
  if (axes.length !== 4 || [0, 1, 2, 3].some((axis) => !axes.includes(axis))) {
    throw new RangeError(`permute: expected an order of 0, 1, 2, 3, got ${axes.map(String).join(', ')}`);
  }
  // ggml keeps the strides in ints while it permutes them.
  expectShape(
    a.nb.every((stride) => stride <= MAX_INT),
    'permute',
    'strides below 2 GiB',
    a,
  );
  expectShape(!isQuantized(a.type) || axes[0] === 0, 'permute', 'quantized blocks to stay in dimension 0', a);
  const permuted = (values: Dimensions) => [0, 1, 2, 3].map((i) => values[axes.indexOf(i)]) as unknown as Dimensions;
  const result = { type: a.type, ne: permuted(a.ne), nb: permuted(a.nb), viewOf: a, offset: a.offset };
  return context.make('permute', [a], result, 'permute', a, ...axes);
}

/** Exchanges dimensions 0 and 1. No copy. */
export function transpose(context: Context, a: Tensor): Tensor {
  expectTensors(context, 'transpose', { a });
  expectShape(!isQuantized(a.type), 'transpose', 'a type without blocks', a);
  const exchanged = ([d0, d1, d2, d3]: Dimensions) => [d1, d0, d2, d3] as const;
  const result = { type: a.type, ne: exchanged(a.ne), nb: exchanged(a.nb), viewOf: a, offset: a.offset };
  return context.make('transpose', [a], result, 'transpose', a);
}

/** A contiguous copy. */
export function cont(context: Context, a: Tensor): Tensor {
  expectTensors(context, 'cont', { a });
  return makeCont(context, a);
}

/** cont() of a tensor that was checked. */
export function makeCont(context: Context, a: Tensor): Tensor {
  expectType('cont', 'a', a, ['f32', 'f16', 'bf16', 'i32']);
  return context.make('cont', [a], like(a), 'cont', a);
}

/** a converted to another type, contiguous. Quantized results need a first dimension of whole blocks. */
export function cast(context: Context, a: Tensor, type: TensorType): Tensor {
  expectTensors(context, 'cast', { a });
  typeInfo(type, 'cast');
  checkDimensions('cast', type, a.ne);
  expectConversion('cast', a, type);
  return context.make('cast', [a], { type, ne: a.ne }, 'cast', a, TENSOR_TYPES[type].id);
}

/** Writes a's values into target (of as many elements), converting the type; the result is a view of target. */
export function cpy(context: Context, a: Tensor, target: Tensor): Tensor {
  expectTensors(context, 'cpy', { a, target });
  expectShape(a.elements === target.elements, 'cpy', 'as many elements in both', a, target);
  expectConversion('cpy', a, target.type);
  expectType('cpy', 'target', target, [...FLOATS, ...(isQuantized(target.type) ? [target.type] : [])]);
  if (isQuantized(a.type) || isQuantized(target.type)) {
    expectShape(sameShape(a, target), 'cpy', 'equal shapes for quantized types', a, target);
    expectPacked('cpy', 'target', target);
  }
  return context.make('cpy', [a, target], inPlace(target), 'cpy', a, target);
}

/** The conversions that ggml's copy kernel has. */
function expectConversion(where: string, from: Tensor, type: TensorType): void {
  expectType(where, 'a', from, [...FLOATS, ...(isQuantized(from.type) || from.type === 'i32' ? [from.type] : [])]);
  if (isQuantized(type) && from.type === type) {
    expectPacked(where, 'a', from);
  } else if (isQuantized(type)) {
    expectType(where, `a for ${type}`, from, FLOATS);
    expectUnitStride(where, 'a', from);
  } else if (isQuantized(from.type)) {
    expectPacked(where, 'a', from);
    if (type !== 'f32') throw new TypeError(`${where}: ${from.type} converts to f32 only, got ${type}`);
  } else if (from.type === 'i32' ? type !== 'f32' && type !== 'i32' : !(FLOATS as readonly string[]).includes(type)) {
    throw new TypeError(`${where}: no conversion from ${from.type} to ${type}`);
  }
}

/** a followed by b along `axis` (a dimension of ne order); the others are equal. */
export function concat(context: Context, a: Tensor, b: Tensor, axis: number): Tensor {
  expectTensors(context, 'concat', { a, b });
  expectInteger('concat', 'axis', axis, 0, 3);
  expectType('concat', 'a', a, ['f32', 'f16', 'bf16', 'i32']);
  expectType('concat', 'b', b, [a.type]);
  const equal = a.ne.every((n, i) => i === axis || b.ne[i] === n);
  expectShape(equal, 'concat', `equal dimensions but for ${axis}`, a, b);
  const ne = checkDimensions('concat', a.type, a.ne.map((n, i) => (i === axis ? n + b.ne[i] : n))); // prettier-ignore
  return context.make('concat', [a, b], { type: a.type, ne }, 'concat', a, b, axis);
}

/** Zeros before and after each dimension: `before[i]` and `after[i]` elements. */
export function pad(context: Context, a: Tensor, before: readonly number[], after: readonly number[]): Tensor {
  expectTensors(context, 'pad', { a });
  expectType('pad', 'a', a, ['f32']);
  const left = amounts('before', before);
  const right = amounts('after', after);
  const ne = checkDimensions('pad', 'f32', a.ne.map((n, i) => left[i] + n + right[i])); // prettier-ignore
  const [l0, l1, l2, l3] = left;
  const [r0, r1, r2, r3] = right;
  return context.make('pad', [a], { type: 'f32', ne }, 'pad_ext', a, l0, r0, l1, r1, l2, r2, l3, r3);
}

function amounts(name: string, given: readonly number[]): number[] {
  if (!Array.isArray(given) || given.length > 4) throw new ShapeError(`pad: expected up to four amounts as ${name}`);
  const four = [0, 1, 2, 3].map((i) => given[i] ?? 0);
  four.forEach((n, i) => expectInteger('pad', `${name}[${i}]`, n, 0));
  return four;
}

/** Mirrors dimension 0 at both ends without repeating the edge; `before` and `after` must be below its length. */
export function padReflect1d(context: Context, a: Tensor, before: number, after: number): Tensor {
  expectTensors(context, 'padReflect1d', { a });
  expectType('padReflect1d', 'a', a, ['f32']);
  expectPacked('padReflect1d', 'a', a);
  expectInteger('padReflect1d', 'before', before, 0, a.ne[0] - 1);
  expectInteger('padReflect1d', 'after', after, 0, a.ne[0] - 1);
  const [n0, ...rest] = a.ne;
  const ne = checkDimensions('padReflect1d', 'f32', [before + n0 + after, ...rest]);
  return context.make('padReflect1d', [a], { type: 'f32', ne }, 'pad_reflect_1d', a, before, after);
}
