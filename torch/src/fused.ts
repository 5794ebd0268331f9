import { op } from './dispatch.js';
import type { Tensor } from './tensor.js';

const rmsNormOp = op('sled::rms_norm');
const normSiluOp = op('sled::norm_silu');
const modulatedNormOp = op('sled::modulated_norm');
const swigluOp = op('sled::swiglu');
const gatedAddOp = op('sled::gated_add');
const joinRowsOp = op('sled::join_rows');
const rotateHeadsOp = op('sled::rotate_heads');

// Each is one pass forward and one backward on the CPU in float32 and bfloat16, and elsewhere what libtorch's operators
// compute. Some give what products take: autocast's type, where that is on, or x's.

/** x / sqrt(mean(x^2) + eps) * weight over the last dimension. x [..., C], weight [C] -> [..., C], as products take it. */
export function rmsNormed(x: Tensor, weight: Tensor, eps = 1e-6): Tensor {
  return rmsNormOp(x, weight, eps);
}
/** silu(LN(x) * weight + bias). x [..., C], weight and bias [C] -> [..., C], as products take it. */
export function normSilu(x: Tensor, weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
  return normSiluOp(x, weight, bias, eps);
}
/** LN(x) * (1 + scale) + shift. All [..., C] -> [..., C], as products take it. */
export function modulatedNorm(x: Tensor, shift: Tensor, scale: Tensor, eps = 1e-5): Tensor {
  return modulatedNormOp(x, shift, scale, eps);
}
/** Tensors [R, ...] one after another, such as the weights of products of one input, as products take them. */
export function joinRows(parts: readonly Tensor[]): Tensor {
  return joinRowsOp(parts);
}
/** silu(gate) * up of x [..., 2F], gate before up -> [..., F]. */
export function swiglu(x: Tensor): Tensor {
  return swigluOp(x);
}
/** x + gate * y in x's type, all of one shape. */
export function gatedAdd(x: Tensor, gate: Tensor, y: Tensor): Tensor {
  return gatedAddOp(x, gate, y);
}
/**
 * Queries, keys and values side by side, x [B, S, 3C] -> three of [B, H, S, E], queries and keys turned by their
 * positions' angles (halves of a head are the coordinates). cos and sin [S, E / 2], float32; H heads of E = C / H.
 */
export function rotateHeads(x: Tensor, cos: Tensor, sin: Tensor, heads: number): [Tensor, Tensor, Tensor] {
  return rotateHeadsOp(x, cos, sin, heads);
}
