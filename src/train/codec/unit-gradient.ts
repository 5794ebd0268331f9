import { noGrad, scope, type Tensor } from '@sled-tts/torch';

const DECAY = 0.99;

/**
 * The gradient of a loss at the decoder's output, divided by the larger of its norm and the average norm: its size
 * means the same early and late, and a spike counts no more than any other step.
 */
export class UnitGradient {
  /** Moving average of norms, for checkpoints; undefined before the first. */
  averageNorm: number | undefined;

  /** d loss / d output, of norm one at most; `output` is a leaf that `loss` was computed from. */
  of(loss: Tensor, output: Tensor): Tensor {
    return scope(() => {
      output.grad = null;
      loss.backward();
      const gradient = output.grad!;
      output.grad = null;
      return noGrad(() => this.scaled(gradient));
    });
  }

  private scaled(gradient: Tensor): Tensor {
    const norm = gradient.norm().item();
    if (!Number.isFinite(norm)) throw new RangeError("the gradient of the codec's spectral loss is not finite");
    this.averageNorm = this.averageNorm === undefined ? norm : DECAY * this.averageNorm + (1 - DECAY) * norm;
    return gradient.div(Math.max(norm, this.averageNorm, 1e-12));
  }
}
