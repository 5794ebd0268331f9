import { getRngState, setRngState } from '@sled-tts/torch';
import type { Dataset } from '../data/sample.js';
import { CheckpointError } from '../model/errors.js';
import { tryStep, type Run } from './step.js';
import type { Ranks } from './ranks.js';
import type { TrainingConfig } from './training-config.js';

/** What the largest batch took. */
export interface Estimate {
  utterances: number;
  seconds: number;
  /** Of the whole step's batch; all ranks together. */
  framesPerSecond: number;
}

/**
 * Computes this rank's share of the largest batch once, forward and backward, and changes nothing.
 * @throws {CheckpointError} when it does not fit or does not work
 */
export function tryLargest(
  run: Run,
  data: Dataset,
  batches: readonly (readonly number[])[],
  { training, ranks }: { training: TrainingConfig; ranks: Ranks },
): Estimate {
  // Batches are sorted by length: the last utterance is as long as the others are padded to.
  const size = (batch: readonly number[]) => data.frames[batch[batch.length - 1]] * batch.length;
  const largest = batches.reduce((best, batch) => (size(batch) > size(best) ? batch : best));
  const state = getRngState();
  const compute = () => tryStep(run, { data, indices: largest, training, ranks });
  let seconds: number;
  try {
    if (run.model.device !== 'cpu') compute(); // a GPU's first operators load what they are made of
    const start = performance.now();
    compute();
    seconds = (performance.now() - start) / 1000;
  } catch (error) {
    throw new CheckpointError(
      `train: the largest batch, ${largest.length} utterances of up to ${data.frames[largest[largest.length - 1]]} frames, ` +
        `cannot be computed: ${(error as Error).message}; lower maxSecondsPerBatch or raise microBatches`,
    );
  } finally {
    run.optimizer.zeroGrad();
    setRngState(state);
  }
  const frames = largest.reduce((sum, index) => sum + data.frames[index], 0);
  return { utterances: largest.length, seconds, framesPerSecond: frames / seconds };
}
