import { parentPort, workerData, type Transferable } from 'node:worker_threads';
import type { Dataset } from '../data/sample.js';
import { openShards } from '../data/shards.js';
import { layOutStep, type LayoutOptions, type PartLayout, type PlannedStep } from './step-layout.js';

/** What the thread is started with. */
export interface ReadAheadJob {
  origin: NonNullable<Dataset['origin']>;
  options: LayoutOptions;
}

/** Its answer to each `PlannedStep`, in order. */
export type ReadAheadAnswer = { parts: PartLayout[] } | { problem: string };

const { origin, options } = workerData as ReadAheadJob;
const data = openShards(origin.folder, origin);

parentPort?.on('message', (planned: PlannedStep) => {
  const answer = answerTo(planned);
  parentPort?.postMessage(answer, 'parts' in answer ? answer.parts.flatMap(memoryOf) : []);
});

function answerTo(planned: PlannedStep): ReadAheadAnswer {
  try {
    return { parts: layOutStep(data, planned, options) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

/** Handed over instead of copied. */
function memoryOf({ layout }: PartLayout): Transferable[] {
  const { tokens, latents, isFrame, predictors, targets, endPositions, endLabels, alignment } = layout;
  const arrays = [tokens, latents, isFrame, predictors, targets, endPositions, endLabels];
  const masks = alignment ? [alignment.aligned, alignment.causal, alignment.spoken] : [];
  return [...arrays, ...masks].map(({ buffer }) => buffer as ArrayBuffer);
}
