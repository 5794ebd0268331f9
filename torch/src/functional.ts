import { op } from './dispatch.js';
import type { Generator } from './random.js';
import type { Tensor } from './tensor.js';
import type { Operand } from './tensor-math.js';

const catOp = op('cat');
const stackOp = op('stack');
const whereOps = {
  TensorTensor: op('where', 'self'),
  TensorNumber: op('where', 'ScalarOther'),
  NumberTensor: op('where', 'ScalarSelf'),
  NumberNumber: op('where', 'Scalar'),
};
const linearOp = op('linear');
const embeddingOp = op('embedding');
const layerNormOp = op('layer_norm');
const rmsNormOp = op('rms_norm');
const attentionOp = op('scaled_dot_product_attention');
const bmmOp = op('bmm');
const baddbmmOp = op('baddbmm');
const addmmOp = op('addmm');
const padOp = op('pad');
const dropoutOp = op('sled::dropout');
const causalAttentionOp = op('sled::causal_attention');
const bceOp = op('binary_cross_entropy_with_logits');
const crossEntropyOp = op('cross_entropy_loss');
const mseOp = op('mse_loss');
const normExceptDimOp = op('norm_except_dim');
const eighOp = op('linalg_eigh');
const multinomialOp = op('multinomial');
const maximumOp = op('maximum');
const minimumOp = op('minimum');
const atan2Op = op('atan2');

/** How a loss is gathered; libtorch's numbers for them. */
export type Reduction = 'none' | 'mean' | 'sum';
const REDUCTIONS: Readonly<Record<Reduction, number>> = { none: 0, mean: 1, sum: 2 };

/** Joins along an existing dimension. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  return catOp(tensors, dim);
}
/** Joins along a new dimension. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  return stackOp(tensors, dim);
}
/** `a` where `condition` is true, else `b`. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const kind = (operand: Operand) => (typeof operand === 'number' ? 'Number' : 'Tensor');
  return whereOps[`${kind(a)}${kind(b)}`](condition, a, b);
}
/** x [..., I] x weight [O, I] + bias [O] -> [..., O]. */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearOp(x, weight, bias);
}
/** weight [V, C], ids [...] of integers -> [..., C]. */
export function embedding(weight: Tensor, ids: Tensor): Tensor {
  return embeddingOp(weight, ids);
}
/** Normalises the last dimensions, `shape`, to mean 0 and variance 1, then scales and shifts. */
export function layerNorm(
  x: Tensor,
  shape: readonly number[],
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  eps = 1e-5,
): Tensor {
  return layerNormOp(x, shape, weight, bias, eps);
}
/** x / sqrt(mean(x^2) + eps) * weight over the last dimensions, `shape`. */
export function rmsNorm(x: Tensor, shape: readonly number[], weight: Tensor | null = null, eps = 1e-6): Tensor {
  return rmsNormOp(x, shape, weight, eps);
}

export interface AttentionOptions {
  /** True where attention is allowed, or a number added to the scores; broadcasts to [B, H, S, T]. */
  readonly mask?: Tensor | null;
  readonly dropout?: number;
  readonly isCausal?: boolean;
  /** Of the scores; 1 / sqrt(D) without it. */
  readonly scale?: number;
  /** Lets k and v have fewer heads than q, each shared by a group. */
  readonly groupedHeads?: boolean;
}

/** q [B, H, S, D], k and v [B, H, T, D] -> [B, H, S, D]; libtorch chooses the kernel. */
export function scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { mask = null, dropout: rate = 0, isCausal = false, scale, groupedHeads = false } = options;
  return attentionOp(q, k, v, mask, rate, isCausal, scale ?? null, groupedHeads);
}

/**
 * q, k and v [B, H, S, D] -> [B, H, S, D]: every position attends to itself and those before it, with dropout on the
 * attention weights, which are not stored. On the CPU with dropout: float32 or bfloat16.
 */
export function causalAttention(q: Tensor, k: Tensor, v: Tensor, dropoutRate = 0): Tensor {
  return causalAttentionOp(q, k, v, dropoutRate);
}

/** a [B, M, K] x b [B, K, N] -> [B, M, N]. */
export function bmm(a: Tensor, b: Tensor): Tensor {
  return bmmOp(a, b);
}
/** beta * input + alpha * a x b, in batches. */
export function baddbmm(input: Tensor, a: Tensor, b: Tensor, { beta = 1, alpha = 1 } = {}): Tensor {
  return baddbmmOp(input, a, b, beta, alpha);
}
/** beta * input + alpha * a x b. */
export function addmm(input: Tensor, a: Tensor, b: Tensor, { beta = 1, alpha = 1 } = {}): Tensor {
  return addmmOp(input, a, b, beta, alpha);
}
/** Pads from the last dimension backwards: [left, right, top, bottom, …]. */
export function pad(
  x: Tensor,
  pads: readonly number[],
  mode: 'constant' | 'reflect' | 'replicate' | 'circular' = 'constant',
  value = 0,
): Tensor {
  return padOp(x, pads, mode, mode === 'constant' ? value : null);
}
/**
 * Sets elements to 0 with probability `rate` while training and scales the rest by 1 / (1 - rate). The mask is a function
 * of a seed from the default generator and of the place, whatever the threads; float32 and bfloat16 on the CPU. A GPU's
 * generator draws other bits.
 */
export function dropout(x: Tensor, rate: number, train: boolean): Tensor {
  return train && rate > 0 ? dropoutOp(x, rate) : x;
}
export function maximum(a: Tensor, b: Tensor): Tensor {
  return maximumOp(a, b);
}
export function minimum(a: Tensor, b: Tensor): Tensor {
  return minimumOp(a, b);
}
export function atan2(y: Tensor, x: Tensor): Tensor {
  return atan2Op(y, x);
}

export interface BinaryLossOptions {
  readonly weight?: Tensor | null;
  /** Weight of the positive examples. */
  readonly posWeight?: Tensor | null;
  readonly reduction?: Reduction;
}

/** Binary cross-entropy of logits against targets in [0, 1], stable for large logits. */
export function binaryCrossEntropyWithLogits(logits: Tensor, target: Tensor, options: BinaryLossOptions = {}): Tensor {
  const { weight = null, posWeight = null, reduction = 'mean' } = options;
  return bceOp(logits, target, weight, posWeight, REDUCTIONS[reduction]);
}
/** logits [N, V] against classes [N], int64; `ignoreIndex` leaves examples out. */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  { reduction = 'mean', ignoreIndex = -100 }: { reduction?: Reduction; ignoreIndex?: number } = {},
): Tensor {
  return crossEntropyOp(logits, target, null, REDUCTIONS[reduction], ignoreIndex);
}
export function mseLoss(x: Tensor, target: Tensor, { reduction = 'mean' }: { reduction?: Reduction } = {}): Tensor {
  return mseOp(x, target, REDUCTIONS[reduction]);
}

/** direction * magnitude / |direction|, the norm over all dimensions but `dim` (weight normalisation). */
export function weightNorm(direction: Tensor, magnitude: Tensor, dim = 0): Tensor {
  return direction.mul(magnitude.div(normExceptDimOp(direction, 2, dim)));
}
/** Eigenvalues [N], ascending, and eigenvectors [N, N], by column, of a symmetric matrix. */
export function linalgEigh(matrix: Tensor): { values: Tensor; vectors: Tensor } {
  const [values, vectors] = eighOp(matrix);
  return { values, vectors };
}
/** `count` classes drawn from probabilities [N, V] -> [N, count]. */
export function multinomial(
  probabilities: Tensor,
  count: number,
  { replacement = false, generator }: { replacement?: boolean; generator?: Generator } = {},
): Tensor {
  return multinomialOp(probabilities, count, replacement, generator ?? null);
}
