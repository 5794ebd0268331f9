import { setImmediate as nextTick } from 'node:timers/promises';
import { resolveDevice, setFlushDenormal, setNumThreads, TorchError, type GroupOptions } from '@sled-tts/torch';
import { planBatches } from '../data/batches.js';
import type { Dataset } from '../data/sample.js';
import type { SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { openBatches } from './batch-source.js';
import { markBest, saveCheckpoint, type LoopState } from './checkpoint.js';
import { tryLargest, type Estimate } from './guard.js';
import { heldOutLosses } from './held-out.js';
import { Progress, type Scalars } from './progress.js';
import { joinRanks, type Ranks } from './ranks.js';
import { makeFolder, newRun, openRun } from './run.js';
import { trainStep, type Run } from './step.js';
import type { TrainingConfig } from './training-config.js';

export interface TrainOptions {
  data: Dataset;
  /** Held-out utterances; no evaluation without. */
  heldOut?: Dataset;
  /** Frames a second of the latents. */
  frameRate: number;
  /** Folder of the checkpoints; a run that is there goes on from its last. */
  out: string;
  model: SledConfig;
  training: TrainingConfig;
  /** Model folder whose weights a fresh run begins with; the optimiser starts anew. */
  from?: string;
  /** Stop after this time, with a checkpoint. */
  minutes?: number;
  logEvery?: number;
  evaluateEvery?: number;
  saveEvery?: number;
  /** Checkpoints kept, beside the best. */
  keep?: number;
  threads?: number;
  /** Where it computes: `cpu` (when absent), `cuda` or `cuda:N`. A run may go on on another one. */
  device?: string;
  /** Steps whose data a thread of its own lays out ahead; 0 for none. Only for data that another thread can open. */
  prefetch?: number;
  /** The other processes of this run; alone when absent. */
  group?: GroupOptions;
  /** Only try the largest batch and tell what training would take; writes nothing. */
  dryRun?: boolean;
  /** Stops the run with a checkpoint. */
  signal?: AbortSignal;
  onLine?: (line: string) => void;
  onScalars?: (scalars: Scalars, step: number) => void;
  /** A checkpoint was written to this folder. */
  onCheckpoint?: (folder: string, step: number) => void | Promise<void>;
}

/** Steps left out in a row before the run gives up. */
const MAX_BAD_STEPS = 10;

/**
 * Trains, from the last checkpoint in `out` where there is one, until the schedule's end, the time or the signal.
 * Batches, guidance dropout and noise depend on (seed, step) alone, so a resumed run equals an uninterrupted one, and
 * one of several ranks equals one alone. Rank 0 writes; a signal on any rank stops all at the same step.
 * @returns the loop's state, all of it in the last checkpoint
 * @throws {CheckpointError} when the model in `out` is another one, or gradients stay NaN
 * @throws {TorchError} when another rank is lost, or the device is not there
 */
export async function train(options: TrainOptions): Promise<LoopState> {
  const { data, training, model, out, logEvery = 50, evaluateEvery = 500, saveEvery = 500 } = options;
  checkOptions(options);
  const device = resolveDevice(options.device ?? 'cpu');
  if (options.threads) setNumThreads(options.threads);
  setFlushDenormal(true);
  const frames = data.frames.reduce((sum, count) => sum + count, 0);
  const settings = { model, training, utterances: data.length, frames };
  const { run, ranks } = await joinRanks(options.group, settings, (rank) => {
    if (rank > 0 || options.dryRun) return newRun(model, training, device);
    makeFolder(out);
    return openRun({ ...options, device });
  });
  const { loop } = run;
  const isFirst = ranks.rank === 0;
  const onLine = (isFirst && options.onLine) || (() => {});
  const progress = new Progress(onLine, (isFirst && options.onScalars) || (() => {}));
  const deadline = options.minutes === undefined ? Infinity : performance.now() + options.minutes * 60_000;
  const plan = { maxFrames: training.maxSecondsPerBatch * options.frameRate, groupSize: training.groupSize, seed: training.seed }; // prettier-ignore
  let badSteps = 0;
  let saved = loop.step;
  const save = async () => {
    if (saved === loop.step || !isFirst) return;
    saved = loop.step;
    await saveRun(run, options);
  };
  const wantsStop = () => performance.now() > deadline || options.signal?.aborted === true;

  const planned = (epoch: number) => planBatches(data.frames, epoch, plan);
  const batches = planned(loop.epoch);
  const { seed, microBatches } = training;
  const layout = { model, seed, microBatches, rank: ranks.rank, size: ranks.size };
  const prefetch = options.dryRun ? 0 : (options.prefetch ?? 0);
  const source = openBatches(data, { from: loop, plan: planned, first: batches }, { ...layout, prefetch });
  try {
    // The largest batch first: what does not fit should be known now and not in the second night.
    const estimate = tryLargest(run, data, batches, { training, ranks });
    if (options.dryRun) {
      describe(run, options, { ranks, batches: batches.length, estimate }).forEach(onLine);
      ranks.leave();
      return loop;
    }

    while (loop.step < training.steps) {
      const start = performance.now();
      const next = wantsStop() ? null : await source.next();
      const waited = (performance.now() - start) / 1000;
      const scalars = withinMemory(loop, () =>
        trainStep(run, { laidOut: next?.parts ?? null, waited, training, ranks }),
      );
      if (!next || !scalars) break;
      const { skipped, ...reported } = scalars;
      Object.assign(loop, next.after);
      loop.frames += scalars.frames;
      loop.seconds += (performance.now() - start) / 1000;
      if (skipped) loop.skipped++;
      badSteps = skipped ? badSteps + 1 : 0;
      if (badSteps >= MAX_BAD_STEPS)
        throw new CheckpointError(
          `train: gradients were not finite, or spikes, for ${badSteps} steps up to ${loop.step}; ` +
            'lower the rate and go on from the last checkpoint',
        );
      if (!skipped) progress.add(reported);
      if (loop.step % logEvery === 0) progress.log(loop);
      const isLast = loop.step === training.steps;
      if (options.heldOut && isFirst && (isLast || loop.step % evaluateEvery === 0)) {
        const heldOut = evaluate(run, options.heldOut, training, plan.maxFrames);
        progress.evaluation(loop, heldOut);
        if (loop.bestEnergy === 0 || heldOut.energy < loop.bestEnergy) {
          loop.bestEnergy = heldOut.energy;
          saved = loop.step;
          markBest(out, await saveRun(run, options));
        }
      }
      if (loop.step % saveEvery === 0) await save();
      await nextTick(); // signals and timers get their turn
    }
    await save();
  } finally {
    await source.close();
  }
  ranks.leave();
  return loop;
}

function checkOptions({ data, model }: TrainOptions): void {
  if (data.latentDim !== model.latentDim)
    throw new CheckpointError(
      `train: the model has latents of ${model.latentDim} channels, the data of ${data.latentDim}`,
    );
  if (data.length === 0) throw new CheckpointError('train: the data holds no utterance');
}

/** Says what to lower where a GPU's memory does not hold a step. */
function withinMemory<T>({ step }: LoopState, compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (!(error instanceof TorchError && /out of memory/.test(error.message))) throw error;
    throw new CheckpointError(
      `train: step ${step + 1}: ${error.message}; lower maxSecondsPerBatch or raise microBatches, and go on from the last checkpoint`,
      { cause: error },
    );
  }
}

async function saveRun({ model, average, optimizer, loop }: Run, options: TrainOptions): Promise<string> {
  const state = { config: options.model, parameters: model.parameters, average: average?.parameters ?? null, optimizer, loop }; // prettier-ignore
  const folder = saveCheckpoint(options.out, state, { training: options.training }, options.keep ?? 3);
  await options.onCheckpoint?.(folder, loop.step);
  return folder;
}

interface Described {
  ranks: Ranks;
  /** Steps of an epoch. */
  batches: number;
  estimate: Estimate;
}

/** What `--dry-run` says. */
function describe(
  { model }: Run,
  { data, frameRate, training }: TrainOptions,
  { ranks, batches, estimate }: Described,
): string[] {
  const parameters = [...model.parameters.values()].reduce((sum, { numel }) => sum + numel, 0);
  const frames = data.frames.reduce((sum, count) => sum + count, 0);
  const hours = (training.steps * (frames / batches)) / estimate.framesPerSecond / 3600;
  return [
    `model      ${(parameters / 1e6).toFixed(1)} million parameters`,
    `data       ${data.length} utterances, ${(frames / frameRate / 3600).toFixed(2)} hours, ${batches} steps an epoch`,
    `processes  ${ranks.size}, each ${training.microBatches} at a time`,
    `largest    ${estimate.utterances} utterances, ${estimate.seconds.toFixed(2)} s on this process`,
    `estimate   ${hours.toFixed(2)} hours for ${training.steps} steps`,
  ];
}

function evaluate({ model, average }: Run, heldOut: Dataset, training: TrainingConfig, maxFrames: number) {
  return heldOutLosses(average ?? model, heldOut, { ...training, training: false, maxFrames });
}
