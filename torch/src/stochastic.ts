import { op } from './dispatch.js';
import { scope } from './memory.js';
import type { Tensor } from './tensor.js';

const stochasticRound = op('sled::stochastic_round_');

/** Elements that are updated at once on the CPU: their float32 copies stay in its cache. */
const BLOCK = 1 << 18;

/**
 * Updates stored tensors of one shape in float32. float32 ones are passed on as they are; bfloat16 ones, contiguous, block
 * by block as float32 copies that are then rounded stochastically: up or down, in proportion to how near each is. Rounded
 * to the nearest, an update of less than half of the 2^-8 between neighbours would be lost each time it is made; this way
 * it is right on average.
 * @param seed another for every update; the same seed rounds alike
 * @param update writes to what it is given; `partOf` is the same block, in float32, of another tensor of that shape
 */
export function updateInFloat32(
  stored: readonly Tensor[],
  seed: number,
  update: (copies: readonly Tensor[], partOf: (other: Tensor) => Tensor) => void,
): void {
  if (stored[0].dtype === 'float32') return update(stored, (other) => other);
  const flat = stored.map((tensor) => tensor.view(-1));
  const { numel } = flat[0];
  const block = stored[0].device === 'cpu' ? BLOCK : numel;
  for (let start = 0, k = 0; start < numel; start += block) {
    const length = Math.min(block, numel - start);
    scope(() => {
      const partOf = (other: Tensor) => other.reshape(-1).narrow(0, start, length).to('float32');
      const copies = flat.map(partOf);
      update(copies, partOf);
      flat.forEach((tensor, i) => stochasticRound(tensor.narrow(0, start, length), copies[i], seed * 2 ** 16 + k++));
    });
  }
}

/** The seed of one parameter's update in a step. */
export function updateSeed(seed: number | undefined, parameter: number): number {
  if (seed === undefined) throw new TypeError('step: bfloat16 parameters need a seed, another for every step');
  return seed * 2 ** 12 + parameter;
}
