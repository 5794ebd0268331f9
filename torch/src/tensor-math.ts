import { op } from './dispatch.js';
import { TensorBase } from './tensor-base.js';
import type { Tensor } from './tensor.js';

/** A tensor, or a number that stands for a tensor filled with it. */
export type Operand = Tensor | number;

/** Options of elementwise `sum`, `mean` and the like: one dimension, several, or all. */
export type Dims = number | readonly number[];

// `name.Tensor` for tensors, `name.Scalar` for numbers.
function binary(name: string, tensorOverload = 'Tensor', scalarOverload = 'Scalar') {
  const byTensor = op(name, tensorOverload);
  const byScalar = op(name, scalarOverload);
  return (self: unknown, other: Operand, ...rest: number[]): Tensor =>
    (typeof other === 'number' ? byScalar : byTensor)(self as Tensor, other, ...rest);
}

const add = binary('add');
const sub = binary('sub');
const mul = binary('mul');
const div = binary('div');
const pow = binary('pow', 'Tensor_Tensor', 'Tensor_Scalar');
const eq = binary('eq');
const ne = binary('ne');
const gt = binary('gt');
const ge = binary('ge');
const lt = binary('lt');
const le = binary('le');
const maskedFill = op('masked_fill', 'Scalar');
const maskedFillTensor = op('masked_fill', 'Tensor');
const unary = {
  neg: op('neg'),
  abs: op('abs'),
  exp: op('exp'),
  log: op('log'),
  log1p: op('log1p'),
  sqrt: op('sqrt'),
  rsqrt: op('rsqrt'),
  sin: op('sin'),
  cos: op('cos'),
  sigmoid: op('sigmoid'),
  tanh: op('tanh'),
  silu: op('silu'),
  relu: op('relu'),
  square: op('square'),
  sign: op('sign'),
  round: op('round'),
  floor: op('floor'),
  logicalNot: op('logical_not'),
  angle: op('angle'),
};
const gelu = op('gelu');
const clamp = op('clamp');
const matmul = op('matmul');
const bmm = op('bmm');
const sumAll = op('sum');
const sumDims = op('sum', 'dim_IntList');
const meanAll = op('mean');
const meanDims = op('mean', 'dim');
const vectorNorm = op('linalg_vector_norm');
const maxAll = op('max');
const minAll = op('min');
const amax = op('amax');
const amin = op('amin');
const argmax = op('argmax');
const cumsum = op('cumsum');
const softmax = op('softmax', 'int');
const logSoftmax = op('log_softmax', 'int');
const std = op('std', 'correction');

function list(dims: Dims): readonly number[] {
  return typeof dims === 'number' ? [dims] : dims;
}

/** Elementwise arithmetic, products and reductions; all return new tensors. Numbers broadcast. */
export abstract class TensorMath extends TensorBase {
  private get self(): Tensor {
    return this as unknown as Tensor;
  }

  // this + alpha * other
  add(other: Operand, alpha = 1): Tensor {
    return alpha === 1 ? add(this, other) : add(this, other, alpha);
  }
  sub(other: Operand, alpha = 1): Tensor {
    return alpha === 1 ? sub(this, other) : sub(this, other, alpha);
  }
  mul(other: Operand): Tensor {
    return mul(this, other);
  }
  div(other: Operand): Tensor {
    return div(this, other);
  }
  pow(exponent: Operand): Tensor {
    return pow(this, exponent);
  }
  neg(): Tensor {
    return unary.neg(this.self);
  }
  abs(): Tensor {
    return unary.abs(this.self);
  }
  exp(): Tensor {
    return unary.exp(this.self);
  }
  log(): Tensor {
    return unary.log(this.self);
  }
  log1p(): Tensor {
    return unary.log1p(this.self);
  }
  sqrt(): Tensor {
    return unary.sqrt(this.self);
  }
  rsqrt(): Tensor {
    return unary.rsqrt(this.self);
  }
  sin(): Tensor {
    return unary.sin(this.self);
  }
  cos(): Tensor {
    return unary.cos(this.self);
  }
  sigmoid(): Tensor {
    return unary.sigmoid(this.self);
  }
  tanh(): Tensor {
    return unary.tanh(this.self);
  }
  silu(): Tensor {
    return unary.silu(this.self);
  }
  relu(): Tensor {
    return unary.relu(this.self);
  }
  gelu(approximate: 'none' | 'tanh' = 'none'): Tensor {
    return gelu(this.self, approximate);
  }
  square(): Tensor {
    return unary.square(this.self);
  }
  sign(): Tensor {
    return unary.sign(this.self);
  }
  round(): Tensor {
    return unary.round(this.self);
  }
  floor(): Tensor {
    return unary.floor(this.self);
  }
  /** Phase of a complex tensor. */
  angle(): Tensor {
    return unary.angle(this.self);
  }
  clamp(min?: number | null, max?: number | null): Tensor {
    return clamp(this.self, min ?? null, max ?? null);
  }

  eq(other: Operand): Tensor {
    return eq(this, other);
  }
  ne(other: Operand): Tensor {
    return ne(this, other);
  }
  gt(other: Operand): Tensor {
    return gt(this, other);
  }
  ge(other: Operand): Tensor {
    return ge(this, other);
  }
  lt(other: Operand): Tensor {
    return lt(this, other);
  }
  le(other: Operand): Tensor {
    return le(this, other);
  }
  logicalNot(): Tensor {
    return unary.logicalNot(this.self);
  }
  /** `value` where `mask` is true. */
  maskedFill(mask: Tensor, value: Operand): Tensor {
    return (typeof value === 'number' ? maskedFill : maskedFillTensor)(this.self, mask, value);
  }

  matmul(other: Tensor): Tensor {
    return matmul(this.self, other);
  }
  // [B, M, K] x [B, K, N] -> [B, M, N]
  bmm(other: Tensor): Tensor {
    return bmm(this.self, other);
  }

  sum(dims?: Dims, keepdim = false): Tensor {
    return dims === undefined ? sumAll(this.self) : sumDims(this.self, list(dims), keepdim);
  }
  mean(dims?: Dims, keepdim = false): Tensor {
    return dims === undefined ? meanAll(this.self) : meanDims(this.self, list(dims), keepdim);
  }
  /** Standard deviation; `correction` 1 is the sample's, 0 the population's. */
  std(dims?: Dims, keepdim = false, correction = 1): Tensor {
    return std(this.self, dims === undefined ? null : list(dims), correction, keepdim);
  }
  /** Euclidean norm. Its gradient where it is zero is zero. */
  norm(dims?: Dims, keepdim = false): Tensor {
    return vectorNorm(this.self, 2, dims === undefined ? null : list(dims), keepdim);
  }
  max(): Tensor {
    return maxAll(this.self);
  }
  min(): Tensor {
    return minAll(this.self);
  }
  amax(dims: Dims, keepdim = false): Tensor {
    return amax(this.self, list(dims), keepdim);
  }
  amin(dims: Dims, keepdim = false): Tensor {
    return amin(this.self, list(dims), keepdim);
  }
  argmax(dim: number, keepdim = false): Tensor {
    return argmax(this.self, dim, keepdim);
  }
  cumsum(dim: number): Tensor {
    return cumsum(this.self, dim);
  }
  softmax(dim: number): Tensor {
    return softmax(this.self, dim);
  }
  logSoftmax(dim: number): Tensor {
    return logSoftmax(this.self, dim);
  }
}
