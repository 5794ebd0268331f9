import { splitBatch } from '../data/batches.js';
import { Random } from '../data/random.js';
import type { Dataset } from '../data/sample.js';
import type { SledConfig } from '../model/config.js';
import { layOutBatch, type BatchLayout } from './batch-layout.js';
import { STREAMS } from './random-streams.js';

/** A share of a step's batch that is computed at once, as plain arrays. */
export interface PartLayout {
  /** Among the parts of all ranks. */
  number: number;
  /** Its utterances' places in the step's batch. */
  places: number[];
  /** Of each utterance. */
  frames: number[];
  layout: BatchLayout;
}

/** What parts depend on beside the data and the step; threads can hand it to each other. */
export interface LayoutOptions {
  model: SledConfig;
  seed: number;
  microBatches: number;
  rank: number;
  /** Ranks. */
  size: number;
}

/** A step of the schedule and its whole batch, the same on every rank. */
export interface PlannedStep {
  step: number;
  /** Into the data, sorted by length. */
  indices: readonly number[];
}

/** One rank's parts of a step; those without an utterance are left out. Depends on the arguments alone. */
export function layOutStep(data: Dataset, { step, indices }: PlannedStep, options: LayoutOptions): PartLayout[] {
  const { model, seed, microBatches, rank, size } = options;
  const dropText = dropTexts(indices.length, model.guidanceDropout, { seed, step });
  return splitBatch(indices, data.frames, size * microBatches)
    .map((places, number) => ({ places, number }))
    .slice(rank * microBatches, (rank + 1) * microBatches)
    .filter(({ places }) => places.length > 0)
    .map(({ places, number }) => {
      const samples = places.map((place) => data.sample(indices[place]));
      const layout = layOutBatch(samples, places.map((place) => dropText[place]), model); // prettier-ignore
      return { number, places, frames: samples.map(({ frames }) => frames), layout };
    });
}

/** Whether each place of the step's batch loses its text (classifier-free guidance). */
function dropTexts(count: number, rate: number, { seed, step }: { seed: number; step: number }): boolean[] {
  const random = new Random(seed, STREAMS.guidance, step);
  return Array.from({ length: count }, () => random.uniform() < rate);
}
