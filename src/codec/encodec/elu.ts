import type { Ops, Tensor } from '@sled-tts/ggml';

/** Far enough down that silu(y) is y * exp(y), to 3e-7 of it; further down, y itself is rounded more coarsely. */
const SHIFT = 15;

/**
 * max(x, 0) + exp(min(x, 0)) - 1, within 1e-6. ggml's own elu and exp call the C library for each element; its silu is vectorised:
 * exp(m) = exp(SHIFT) * silu(y) / y with y = m - SHIFT. Seven quick passes take a fifth of the time of ggml's one.
 */
export function elu({ add, clamp, div, relu, scale, silu }: Ops, x: Tensor): Tensor {
  const y = scale(clamp(x, -Number.MAX_VALUE, 0), 1, -SHIFT);
  const negative = scale(div(silu(y), y), Math.exp(SHIFT), -1);
  return add(relu(x), negative);
}
