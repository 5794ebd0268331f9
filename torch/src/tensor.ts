import { op, setTensorClass } from './dispatch.js';
import { TensorMath, type Operand } from './tensor-math.js';
import type { Generator } from './random.js';

const t = op('t');
const transpose = op('transpose', 'int');
const permute = op('permute');
const reshape = op('reshape');
const view = op('view');
const slice = op('slice', 'Tensor');
const select = op('select', 'int');
const narrow = op('narrow');
const chunk = op('chunk');
const split = op('split', 'Tensor');
const splitSizes = op('split', 'sizes');
const unsqueeze = op('unsqueeze');
const squeezeAll = op('squeeze');
const squeeze = op('squeeze', 'dim');
const expand = op('expand');
const flatten = op('flatten', 'using_ints');
const contiguous = op('contiguous');
const clone = op('clone');
const indexSelect = op('index_select');
const gather = op('gather');
const flip = op('flip');
const inPlace = {
  add: [op('add_', 'Tensor'), op('add_', 'Scalar')],
  sub: [op('sub_', 'Tensor'), op('sub_', 'Scalar')],
  mul: [op('mul_', 'Tensor'), op('mul_', 'Scalar')],
  div: [op('div_', 'Tensor'), op('div_', 'Scalar')],
  fill: [op('fill_', 'Tensor'), op('fill_', 'Scalar')],
  lerp: [op('lerp_', 'Tensor'), op('lerp_', 'Scalar')],
  copy: op('copy_'),
  zero: op('zero_'),
  clamp: op('clamp_'),
  normal: op('normal_'),
  uniform: op('uniform_'),
  addcmul: op('addcmul_'),
  addcdiv: op('addcdiv_'),
};

function byOperand(pair: readonly (typeof t)[], operand: Operand): typeof t {
  return typeof operand === 'number' ? pair[1] : pair[0];
}

/** A tensor of libtorch: views, and the operators that write in place. Made by `tensor`, `zeros` and the operators. */
export class Tensor extends TensorMath {
  /** Transposes a matrix. */
  t(): Tensor {
    return t(this);
  }
  transpose(a: number, b: number): Tensor {
    return transpose(this, a, b);
  }
  permute(...dims: number[]): Tensor {
    return permute(this, dims);
  }
  /** A view where the memory allows it, else a copy; one size may be -1. */
  reshape(...shape: number[]): Tensor {
    return reshape(this, shape);
  }
  view(...shape: number[]): Tensor {
    return view(this, shape);
  }
  slice(dim: number, start: number | null, end: number | null = null, step = 1): Tensor {
    return slice(this, dim, start, end, step);
  }
  select(dim: number, index: number): Tensor {
    return select(this, dim, index);
  }
  narrow(dim: number, start: number, length: number): Tensor {
    return narrow(this, dim, start, length);
  }
  chunk(count: number, dim = 0): Tensor[] {
    return chunk(this, count, dim);
  }
  /** Pieces of one size, or of the given sizes. */
  split(size: number | readonly number[], dim = 0): Tensor[] {
    return typeof size === 'number' ? split(this, size, dim) : splitSizes(this, size, dim);
  }
  unsqueeze(dim: number): Tensor {
    return unsqueeze(this, dim);
  }
  squeeze(dim?: number): Tensor {
    return dim === undefined ? squeezeAll(this) : squeeze(this, dim);
  }
  expand(...shape: number[]): Tensor {
    return expand(this, shape);
  }
  flatten(start = 0, end = -1): Tensor {
    return flatten(this, start, end);
  }
  contiguous(): Tensor {
    return contiguous(this);
  }
  clone(): Tensor {
    return clone(this);
  }
  /** Rows (or along `dim`) by number; `index` [N] is int64 or int32. */
  indexSelect(dim: number, index: Tensor): Tensor {
    return indexSelect(this, dim, index);
  }
  /** Elements along `dim` by number; `index`, int64, has the result's shape. */
  gather(dim: number, index: Tensor): Tensor {
    return gather(this, dim, index);
  }
  flip(...dims: number[]): Tensor {
    return flip(this, dims);
  }

  // this += alpha * other
  add_(other: Operand, alpha = 1): this {
    return byOperand(inPlace.add, other)(this, other, alpha);
  }
  sub_(other: Operand, alpha = 1): this {
    return byOperand(inPlace.sub, other)(this, other, alpha);
  }
  mul_(other: Operand): this {
    return byOperand(inPlace.mul, other)(this, other);
  }
  div_(other: Operand): this {
    return byOperand(inPlace.div, other)(this, other);
  }
  copy_(source: Tensor): this {
    return inPlace.copy(this, source);
  }
  zero_(): this {
    return inPlace.zero(this);
  }
  fill_(value: Operand): this {
    return byOperand(inPlace.fill, value)(this, value);
  }
  // this += weight * (end - this)
  lerp_(end: Tensor, weight: Operand): this {
    return byOperand(inPlace.lerp, weight)(this, end, weight);
  }
  clamp_(min?: number | null, max?: number | null): this {
    return inPlace.clamp(this, min ?? null, max ?? null);
  }
  normal_(mean = 0, std = 1, generator?: Generator): this {
    return inPlace.normal(this, mean, std, generator ?? null);
  }
  uniform_(low = 0, high = 1, generator?: Generator): this {
    return inPlace.uniform(this, low, high, generator ?? null);
  }
  // this += value * a * b
  addcmul_(a: Tensor, b: Tensor, value = 1): this {
    return inPlace.addcmul(this, a, b, { value });
  }
  // this += value * a / b
  addcdiv_(a: Tensor, b: Tensor, value = 1): this {
    return inPlace.addcdiv(this, a, b, { value });
  }
}

setTensorClass((handle) => new Tensor(handle));
