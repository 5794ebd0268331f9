import { Random } from './random.js';

export interface BatchPlan {
  /** Frames of a batch, padding included: longest sample times samples. */
  maxFrames: number;
  /** Samples that are sorted together; more means less padding and less chance. */
  groupSize: number;
  seed: number;
}

/**
 * One epoch's batches: a permutation is cut into groups, each group sorted by length and cut into batches within the
 * frame budget, and the batches are shuffled. The same seed and epoch give the same batches.
 * @param frames frames of each sample
 * @returns indices into `frames`, every one exactly once
 */
export function planBatches(
  frames: ArrayLike<number>,
  epoch: number,
  { maxFrames, groupSize, seed }: BatchPlan,
): number[][] {
  const random = new Random(seed, epoch);
  const order = random.shuffle(Uint32Array.from({ length: frames.length }, (_, i) => i));
  const batches: number[][] = [];
  for (let start = 0; start < order.length; start += groupSize) {
    const group = [...order.subarray(start, start + groupSize)].sort((a, b) => frames[a] - frames[b] || a - b);
    batches.push(...cutByBudget(group, frames, maxFrames));
  }
  return random.shuffle(batches);
}

/** Cuts indices, sorted by rising length, into batches whose padded size stays within the budget. */
export function cutByBudget(sorted: readonly number[], frames: ArrayLike<number>, maxFrames: number): number[][] {
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const index of sorted) {
    if (batch.length > 0 && frames[index] * (batch.length + 1) > maxFrames) {
      batches.push(batch);
      batch = [];
    }
    batch.push(index);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/**
 * Cuts a batch, sorted by length, into parts of about equal work; a part may be empty where there are few samples.
 * @returns places in the batch, each exactly once, in order
 */
export function splitBatch(batch: readonly number[], frames: ArrayLike<number>, parts: number): number[][] {
  const total = batch.reduce((sum, index) => sum + frames[index], 0);
  const places: number[][] = Array.from({ length: parts }, () => []);
  let before = 0;
  batch.forEach((index, place) => {
    const middle = before + frames[index] / 2;
    places[Math.min(parts - 1, Math.floor((parts * middle) / total))].push(place);
    before += frames[index];
  });
  return places;
}
