import type { NoiseSource, TorchRandom } from './torch-random.js';

/**
 * One generator for the rows of a batch, as the released code draws: `randn(rows, n)` a step, for finished rows too.
 * Each row gets its own source; a row that has ended does not hold the others up.
 */
export function sharedNoise(random: TorchRandom, rows: number, n: number): NoiseSource[] {
  const steps: Float32Array[] = [];
  return Array.from({ length: rows }, (_, row) => {
    let step = 0;
    const peek = () => {
      while (steps.length <= step) steps.push(random.randn(rows * n));
      return steps[step].subarray(row * n, (row + 1) * n);
    };
    const randn = () => {
      const samples = peek();
      step++;
      return samples;
    };
    return { randn, peek };
  });
}
