import type { NoiseSource, TorchRandom } from './torch-random.js';

/**
 * One generator for the rows of a batch, as the released code draws: `randn(rows, n)` a step, for finished rows too.
 * Each row gets its own source; a row that has ended does not hold the others up.
 */
export function sharedNoise(random: TorchRandom, rows: number, n: number): NoiseSource[] {
  const steps: Float32Array[] = [];
  return Array.from({ length: rows }, (_, row) => {
    let step = 0;
    const own = (drawn: Float32Array) => drawn.subarray(row * n, (row + 1) * n);
    const randn = () => {
      while (steps.length <= step) steps.push(random.randn(rows * n));
      return own(steps[step++]);
    };
    // The generator may go on elsewhere after the last step: looking ahead draws nothing from it.
    const peek = (_: number, count: number) => {
      const drawn = steps.slice(step, step + count);
      return [...drawn, ...random.peek(rows * n, count - drawn.length)].map(own);
    };
    return { randn, peek };
  });
}
