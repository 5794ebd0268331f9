import { noGrad, scope, type Tensor } from '@sled-tts/torch';

/** A loss of the decoder's output and its share of the gradient. */
export interface BalancedLoss {
  readonly name: string;
  readonly share: number;
  readonly loss: Tensor;
}

const DECAY = 0.99;

/**
 * Mixes losses by the size of their gradients at the output (Défossez et al. 2022, section 3.4).
 *
 * g = sum of share_i * g_i / max(|g_i|, average of |g_i|): shares mean the same whatever a loss's scale, and a spike
 * counts no more than its share.
 */
export class Balancer {
  /** Moving averages of gradient norms by loss, for checkpoints. */
  averages: Record<string, number> = {};

  /** The mixed gradient at `output` [B, N], a leaf that every loss was computed from. */
  gradient(output: Tensor, losses: readonly BalancedLoss[]): Tensor {
    return scope(() => {
      const parts = losses.map(({ name, share, loss }, i) => {
        output.grad = null;
        loss.backward(undefined, { retainGraph: i < losses.length - 1 });
        return noGrad(() => this.weighted(name, share, output.grad!));
      });
      output.grad = null;
      return noGrad(() => parts.reduce((a, b) => a.add(b)));
    });
  }

  private weighted(name: string, share: number, gradient: Tensor): Tensor {
    const norm = gradient.norm().item();
    if (!Number.isFinite(norm)) throw new RangeError(`the gradient of the ${name} loss is not finite`);
    const average = this.averages[name] === undefined ? norm : DECAY * this.averages[name] + (1 - DECAY) * norm;
    this.averages[name] = average;
    return gradient.mul(share / Math.max(norm, average, 1e-12));
  }
}
