import { noGrad } from './modes.js';
import type { Generator } from './random.js';
import type { Tensor } from './tensor.js';

// Fill a parameter in place, unseen by autograd.

/** Inputs and outputs of a weight [O, I, ...]. */
function fans({ shape }: Tensor): { fanIn: number; fanOut: number } {
  if (shape.length < 2)
    throw new RangeError(`init: expected a weight of two dimensions or more, got [${shape.join(', ')}]`);
  const field = shape.slice(2).reduce((product, size) => product * size, 1);
  return { fanIn: shape[1] * field, fanOut: shape[0] * field };
}

/** Uniform, with variance 2 / (inputs + outputs) (Glorot and Bengio, 2010). */
export function xavierUniform_(weight: Tensor, gain = 1, generator?: Generator): Tensor {
  const { fanIn, fanOut } = fans(weight);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return noGrad(() => weight.uniform_(-bound, bound, generator));
}

/** Uniform in ± 1 / sqrt(inputs), what PyTorch gives its linear and convolution layers. */
export function kaimingUniform_(weight: Tensor, generator?: Generator): Tensor {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  return noGrad(() => weight.uniform_(-bound, bound, generator));
}

export function normal_(weight: Tensor, mean = 0, std = 1, generator?: Generator): Tensor {
  return noGrad(() => weight.normal_(mean, std, generator));
}

export function uniform_(weight: Tensor, low = 0, high = 1, generator?: Generator): Tensor {
  return noGrad(() => weight.uniform_(low, high, generator));
}

export function constant_(weight: Tensor, value: number): Tensor {
  return noGrad(() => weight.fill_(value));
}

export function zeros_(weight: Tensor): Tensor {
  return noGrad(() => weight.zero_());
}

export function ones_(weight: Tensor): Tensor {
  return constant_(weight, 1);
}
