import type { Context } from '../context.js';
import type { Tensor } from '../tensor.js';
import { floats, inPlace, like } from './results.js';
import { makeCont } from './shape.js';
import {
  expectContiguous,
  expectNumber,
  expectPacked,
  expectShape,
  expectTensors,
  expectType,
  expectUnitStride,
  FLOATS,
  repeatsInto,
  sameShape,
} from './checks.js';
import { checkDimensions } from '../context.js';

type BinaryName = 'add' | 'sub' | 'mul' | 'div';
type UnaryName =
  | 'neg' | 'abs' | 'relu' | 'elu' | 'silu' | 'gelu' | 'sigmoid' | 'tanh' | 'softplus'
  | 'exp' | 'log' | 'sin' | 'cos' | 'sqrt' | 'sqr'; // prettier-ignore

function binary(context: Context, op: BinaryName, a: Tensor, b: Tensor): Tensor {
  expectTensors(context, op, { a, b });
  expectType(op, 'a', a, FLOATS);
  expectType(op, 'b', b, [a.type, 'f32']);
  expectShape(repeatsInto(b, a), op, 'b to tile a in every dimension', a, b);
  expectUnitStride(op, 'a', a);
  return context.make(op, [a, b], like(a), op, a, b);
}

function unary(context: Context, op: UnaryName, a: Tensor, call: UnaryName | 'gelu_erf' = op): Tensor {
  expectTensors(context, op, { a });
  expectType(op, 'a', a, ['f32', 'f16']);
  expectUnitStride(op, 'a', a);
  expectContiguous(op, 'a', a, 1);
  return context.make(op, [a], like(a), call, a);
}

function gated(context: Context, op: 'swiglu_split' | 'geglu_split', gate: Tensor, up: Tensor): Tensor {
  expectTensors(context, op, { gate, up });
  expectType(op, 'gate', gate, ['f32', 'f16']);
  expectType(op, 'up', up, [gate.type]);
  expectShape(sameShape(gate, up), op, 'gate and up of one shape', gate, up);
  for (const [name, tensor] of Object.entries({ gate, up })) {
    expectUnitStride(op, name, tensor);
    expectContiguous(op, name, tensor, 1);
  }
  return context.make(op, [gate, up], like(gate), op, gate, up);
}

/** a + b; b is repeated over a where a dimension of a is a multiple of b's. */
export const add = (context: Context, a: Tensor, b: Tensor): Tensor => binary(context, 'add', a, b);
/** a - b, b repeated over a. */
export const sub = (context: Context, a: Tensor, b: Tensor): Tensor => binary(context, 'sub', a, b);
/** a * b element by element, b repeated over a. */
export const mul = (context: Context, a: Tensor, b: Tensor): Tensor => binary(context, 'mul', a, b);
/** a / b, b repeated over a. */
export const div = (context: Context, a: Tensor, b: Tensor): Tensor => binary(context, 'div', a, b);

/** -a. */
export const neg = (context: Context, a: Tensor): Tensor => unary(context, 'neg', a);
/** |a|. */
export const abs = (context: Context, a: Tensor): Tensor => unary(context, 'abs', a);
/** max(a, 0). */
export const relu = (context: Context, a: Tensor): Tensor => unary(context, 'relu', a);
/** a for a > 0, else e^a - 1. */
export const elu = (context: Context, a: Tensor): Tensor => unary(context, 'elu', a);
/** a * sigmoid(a). */
export const silu = (context: Context, a: Tensor): Tensor => unary(context, 'silu', a);
/** GELU by its tanh approximation; ggml rounds it through float16 tables (error up to 0.002 on [-4, 4]). */
export const gelu = (context: Context, a: Tensor): Tensor => unary(context, 'gelu', a);
/** GELU by the error function, PyTorch's default. */
export const geluErf = (context: Context, a: Tensor): Tensor => unary(context, 'gelu', a, 'gelu_erf');
/** 1 / (1 + e^-a). */
export const sigmoid = (context: Context, a: Tensor): Tensor => unary(context, 'sigmoid', a);
/** Hyperbolic tangent. */
export const tanh = (context: Context, a: Tensor): Tensor => unary(context, 'tanh', a);
/** log(1 + e^a). */
export const softplus = (context: Context, a: Tensor): Tensor => unary(context, 'softplus', a);
/** e^a. */
export const exp = (context: Context, a: Tensor): Tensor => unary(context, 'exp', a);
/** Natural logarithm. */
export const log = (context: Context, a: Tensor): Tensor => unary(context, 'log', a);
/** Sine, radians. */
export const sin = (context: Context, a: Tensor): Tensor => unary(context, 'sin', a);
/** Cosine, radians. */
export const cos = (context: Context, a: Tensor): Tensor => unary(context, 'cos', a);
/** Square root. */
export const sqrt = (context: Context, a: Tensor): Tensor => unary(context, 'sqrt', a);
/** a * a. */
export const sqr = (context: Context, a: Tensor): Tensor => unary(context, 'sqr', a);

/** silu(gate) * up: the gated activation of LLaMA. */
export const swigluSplit = (context: Context, gate: Tensor, up: Tensor): Tensor =>
  gated(context, 'swiglu_split', gate, up);
/** gelu(gate) * up. */
export const gegluSplit = (context: Context, gate: Tensor, up: Tensor): Tensor =>
  gated(context, 'geglu_split', gate, up);

/** a * factor + bias, for numbers known when the graph is built. */
export function scale(context: Context, a: Tensor, factor: number, bias = 0): Tensor {
  expectTensors(context, 'scale', { a });
  expectType('scale', 'a', a, ['f32']);
  expectPacked('scale', 'a', a);
  expectNumber('scale', 'factor', factor);
  expectNumber('scale', 'bias', bias);
  return context.make('scale', [a], like(a), 'scale_bias', a, factor, bias);
}

/** a limited to [minimum, maximum]. ggml clamps in place; here a copy is clamped, so `a` keeps its values. */
export function clamp(context: Context, a: Tensor, minimum: number, maximum: number): Tensor {
  expectTensors(context, 'clamp', { a });
  expectType('clamp', 'a', a, ['f32', 'f16']);
  expectNumber('clamp', 'minimum', minimum);
  expectNumber('clamp', 'maximum', maximum, minimum);
  const copy = makeCont(context, a);
  return context.make('clamp', [copy], inPlace(copy), 'clamp', copy, minimum, maximum);
}

/** a tiled to the dimensions `ne`, each a multiple of a's. */
export function repeat(context: Context, a: Tensor, ne: readonly number[]): Tensor {
  expectTensors(context, 'repeat', { a });
  expectType('repeat', 'a', a, ['f32', 'f16', 'bf16', 'i32']);
  const target = checkDimensions('repeat', a.type, ne);
  expectShape(repeatsInto(a, { ne: target }), 'repeat', `a to tile [${target.join(', ')}]`, a);
  expectUnitStride('repeat', 'a', a);
  return context.make('repeat', [a], { type: a.type, ne: target }, 'repeat_4d', a, ...target);
}

/** a / sqrt(mean(a^2) + epsilon) over each row, without weight. */
export const rmsNorm = (context: Context, a: Tensor, epsilon: number): Tensor =>
  normalise(context, 'rms_norm', a, epsilon);
/** (a - mean) / sqrt(variance + epsilon) over each row: a layer norm without weight and bias. */
export const norm = (context: Context, a: Tensor, epsilon: number): Tensor => normalise(context, 'norm', a, epsilon);

function normalise(context: Context, op: 'norm' | 'rms_norm', a: Tensor, epsilon: number): Tensor {
  expectTensors(context, op, { a });
  expectType(op, 'a', a, ['f32']);
  expectUnitStride(op, 'a', a);
  expectNumber(op, 'epsilon', epsilon, 0);
  return context.make(op, [a], floats(a), op, a, epsilon);
}

/** Sum of each row: [n0, n1, n2, n3] -> [1, n1, n2, n3]. */
export const sumRows = (context: Context, a: Tensor): Tensor => reduceRows(context, 'sum_rows', a);
/** Mean of each row: [n0, n1, n2, n3] -> [1, n1, n2, n3]. */
export const mean = (context: Context, a: Tensor): Tensor => reduceRows(context, 'mean', a);

function reduceRows(context: Context, op: 'sum_rows' | 'mean', a: Tensor): Tensor {
  expectTensors(context, op, { a });
  expectType(op, 'a', a, ['f32']);
  expectUnitStride(op, 'a', a);
  const [, ...rows] = a.ne;
  return context.make(op, [a], { type: 'f32', ne: [1, ...rows] }, op, a);
}
