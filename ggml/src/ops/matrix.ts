import { checkDimensions, type Context } from '../context.js';
import { GgmlError, ShapeError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { isQuantized, type TensorType } from '../tensor-type.js';
import { floats, inPlace, like } from './results.js';
import {
  expectPacked,
  expectInteger,
  expectNumber,
  expectOptions,
  expectShape,
  expectTensors,
  expectType,
  expectUnitStride,
  FLOATS,
} from './checks.js';

/** A weight type that products accept as first operand. */
const isWeightType = (type: TensorType): boolean => isQuantized(type) || (FLOATS as readonly string[]).includes(type);

/**
 * x times the transpose of w, as a linear layer does: w [K, N, ..], x [K, M, ..] -> f32 [N, M, ..].
 * w may be quantized; its dimensions 2 and 3 are repeated over x's. x is f32, or f16/bf16 if w is the same.
 */
export function mulMat(context: Context, w: Tensor, x: Tensor): Tensor {
  const op = 'mulMat';
  expectTensors(context, op, { w, x });
  expectType(op, 'w', w, isWeightType(w.type) ? [w.type] : FLOATS);
  expectType(op, 'x', x, w.type === 'f16' || w.type === 'bf16' ? ['f32', w.type] : ['f32']);
  const fits = w.ne[0] === x.ne[0] && x.ne[2] % w.ne[2] === 0 && x.ne[3] % w.ne[3] === 0;
  expectShape(fits, op, 'w [K, N, a, b] and x [K, M, a * i, b * j]', w, x);
  expectUnitStride(op, 'w', w);
  expectUnitStride(op, 'x', x);
  expectShape(w.nb[0] <= w.nb[1], op, 'w not transposed (take cont() of it)', w);
  const ne = checkDimensions(op, 'f32', [w.ne[1], x.ne[1], x.ne[2], x.ne[3]]);
  return context.make('mulMat', [w, x], { type: 'f32', ne }, 'mul_mat', w, x);
}

/** Rows of table by number: table [C, R], rows i32 [N] -> f32 [C, N]. The numbers are checked when they are set. */
export function getRows(context: Context, table: Tensor, rows: Tensor): Tensor {
  const op = 'getRows';
  expectTensors(context, op, { table, rows });
  expectType(op, 'table', table, isWeightType(table.type) || table.type === 'i32' ? [table.type] : FLOATS);
  expectType(op, 'rows', rows, ['i32']);
  const fits = table.ne[2] === rows.ne[1] && table.ne[3] === rows.ne[2] && rows.ne[3] === 1;
  expectShape(fits, op, 'table [C, R, a, b] and rows [N, a, b]', table, rows);
  expectUnitStride(op, 'table', table);
  const ne = checkDimensions(op, 'f32', [table.ne[0], rows.ne[0], rows.ne[1], rows.ne[2]]);
  limitIndices(op, rows, table.ne[1]);
  const type = table.type === 'i32' ? 'i32' : 'f32';
  return context.make(op, [table, rows], { type, ne }, 'get_rows', table, rows);
}

/**
 * Writes the rows of values [C, N] into cache [C, R] at the row numbers i32 or i64 [N], converting the type.
 * The result is a view of cache. Expand it into the graph before operations that read the cache.
 */
export function setRows(context: Context, cache: Tensor, values: Tensor, rows: Tensor): Tensor {
  const op = 'setRows';
  expectTensors(context, op, { cache, values, rows });
  expectType(op, 'cache', cache, isWeightType(cache.type) ? [cache.type] : FLOATS);
  expectType(op, 'values', values, ['f32']);
  expectType(op, 'rows', rows, ['i32', 'i64']);
  const [c0, , c2, c3] = cache.ne;
  expectShape(values.ne[0] === c0 && values.ne[2] === c2 && values.ne[3] === c3, op, 'values [C, N, a, b] for cache [C, R, a, b]', cache, values); // prettier-ignore
  const [n0, n1, n2, n3] = rows.ne;
  const fits = n0 === values.ne[1] && values.ne[2] % n1 === 0 && values.ne[3] % n2 === 0 && n3 === 1;
  expectShape(fits, op, 'one row number for each row of values', values, rows);
  expectUnitStride(op, 'cache', cache);
  expectUnitStride(op, 'values', values);
  limitIndices(op, rows, cache.ne[1]);
  return context.make(op, [values, rows, cache], inPlace(cache), 'set_rows', cache, values, rows);
}

/** ggml aborts in the middle of a computation on a wrong row number: only inputs and constants, checked by set(), serve. */
function limitIndices(op: string, rows: Tensor, limit: number): void {
  const { root } = rows;
  if (root.op !== 'none') {
    throw new GgmlError(`${op}: expected row numbers from an input or a constant, got ${rows.describe()}`);
  }
  if (root.indexMaximum >= limit) {
    throw new RangeError(
      `${op}: expected row numbers below ${limit}, but ${rows.describe()} already holds ${root.indexMaximum}`,
    );
  }
  root.indexLimit = Math.min(root.indexLimit, limit);
}

export interface SoftMaxOptions {
  /** Added to the scaled values: f32 or f16 [n0, at least n1], contiguous; -Infinity hides. */
  readonly mask?: Tensor;
  /** Factor before the mask (default 1). */
  readonly scale?: number;
}

/** softmax(a * scale + mask) over each row of a. */
export function softMax(context: Context, a: Tensor, options: SoftMaxOptions = {}): Tensor {
  const op = 'softMax';
  expectOptions(op, options);
  const { mask, scale = 1 } = options;
  expectTensors(context, op, mask === undefined ? { a } : { a, mask });
  expectType(op, 'a', a, ['f32']);
  expectPacked(op, 'a', a);
  expectNumber(op, 'scale', scale);
  if (mask) {
    expectType(op, 'mask', mask, ['f32', 'f16']);
    expectPacked(op, 'mask', mask);
    const [m0, m1, m2, m3] = mask.ne;
    const fits = m0 === a.ne[0] && m1 >= a.ne[1] && a.ne[2] % m2 === 0 && a.ne[3] % m3 === 0;
    expectShape(fits, op, 'mask [n0, >= n1, ..] for a [n0, n1, ..]', a, mask);
  }
  const sources = mask ? [a, mask] : [a];
  return context.make(op, sources, floats(a), 'soft_max_ext', a, mask ?? null, scale, 0);
}

export interface RopeOptions {
  /** Leading elements of each head that are rotated; even (default all). */
  readonly dimensions?: number;
  /** `neox` rotates halves against each other (LLaMA as Hugging Face stores it), `normal` neighbours. */
  readonly mode?: 'neox' | 'normal';
  /** Base of the wavelengths (default 10,000). */
  readonly theta?: number;
  /** Factor of the positions (default 1). */
  readonly frequencyScale?: number;
}

/** Rotary position embedding: a f32 or f16 [D, H, T, B], positions i32 [T]. */
export function rope(context: Context, a: Tensor, positions: Tensor, options: RopeOptions = {}): Tensor {
  const op = 'rope';
  expectTensors(context, op, { a, positions });
  expectOptions(op, options);
  const { dimensions = a.ne[0], mode = 'neox', theta = 10_000, frequencyScale = 1 } = options;
  expectType(op, 'a', a, ['f32', 'f16']);
  expectType(op, 'positions', positions, ['i32']);
  expectUnitStride(op, 'a', a);
  expectPacked(op, 'positions', positions);
  expectShape(positions.elements === a.ne[2] && positions.ne[0] === a.ne[2], op, 'positions [T] for a [D, H, T, B]', a, positions); // prettier-ignore
  expectInteger(op, 'dimensions', dimensions, 2, a.ne[0]);
  if (dimensions % 2 || a.ne[0] % 2)
    throw new ShapeError(`${op}: expected even dimensions, got ${dimensions} of ${a.ne[0]}`);
  if (mode !== 'neox' && mode !== 'normal')
    throw new RangeError(`${op}: expected mode neox or normal, got ${String(mode)}`);
  expectNumber(op, 'theta', theta, Number.MIN_VALUE);
  expectNumber(op, 'frequencyScale', frequencyScale);
  const number = mode === 'neox' ? 2 : 0;
  const args = [a, positions, null, dimensions, number, 0, theta, frequencyScale, 0, 1, 0, 0] as const;
  return context.make(op, [a, positions], like(a), 'rope_ext', ...args);
}

export interface FlashAttentionOptions {
  /** f16 [S, at least T, ..], contiguous; added to the scaled products. */
  readonly mask?: Tensor;
  /** Factor of the products, usually 1 / sqrt(D). */
  readonly scale: number;
}

/** Attention in one pass: q f32 [D, T, H, B], k [D, S, Hk, B], v [Dv, S, Hk, B] -> f32 [Dv, H, T, B]. */
export function flashAttention(
  context: Context,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: FlashAttentionOptions,
): Tensor {
  const op = 'flashAttention';
  expectOptions(op, options);
  const { mask, scale } = options;
  expectTensors(context, op, mask === undefined ? { q, k, v } : { q, k, v, mask });
  expectType(op, 'q', q, ['f32']);
  for (const [name, tensor] of Object.entries({ k, v })) {
    expectType(op, name, tensor, isWeightType(tensor.type) ? [tensor.type] : FLOATS);
  }
  for (const [name, tensor] of Object.entries({ q, k, v })) expectUnitStride(op, name, tensor);
  const heads = q.ne[2] % k.ne[2] === 0 && v.ne[2] === k.ne[2];
  const batch = q.ne[3] === k.ne[3] && q.ne[3] === v.ne[3];
  expectShape(q.ne[0] === k.ne[0] && heads && batch && k.ne[1] === v.ne[1], op, 'q [D, T, H, B], k [D, S, Hk, B], v [Dv, S, Hk, B]', q, k, v); // prettier-ignore
  expectShape(k.nb[0] <= k.nb[1] && v.nb[0] <= v.nb[1], op, 'k and v not transposed', k, v);
  expectNumber(op, 'scale', scale);
  if (mask) {
    expectType(op, 'mask', mask, ['f16']);
    expectPacked(op, 'mask', mask);
    const [m0, m1, m2, m3] = mask.ne;
    const fits = m0 === k.ne[1] && m1 >= q.ne[1] && q.ne[2] % m2 === 0 && q.ne[3] % m3 === 0;
    expectShape(fits, op, 'mask [S, >= T, ..] for k [D, S, ..] and q [D, T, ..]', mask, k, q);
  }
  const sources = mask ? [q, k, v, mask] : [q, k, v];
  const ne = checkDimensions(op, 'f32', [v.ne[0], q.ne[2], q.ne[1], q.ne[3]]);
  return context.make(op, sources, { type: 'f32', ne }, 'flash_attn_ext', q, k, v, mask ?? null, scale, 0, 0);
}
