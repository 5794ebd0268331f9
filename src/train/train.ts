import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import {
  autocast,
  clipGradNorm,
  manualSeed,
  noGrad,
  op,
  scope,
  setFlushDenormal,
  setNumThreads,
  type Tensor,
} from '@sled-tts/torch';
import { planBatches } from '../data/batches.js';
import { Random } from '../data/random.js';
import type { Dataset } from '../data/sample.js';
import type { SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { makeBatch } from './batch.js';
import {
  listCheckpoints,
  loadCheckpoint,
  loadModel,
  loadOptimizer,
  saveCheckpoint,
  type LoopState,
} from './checkpoint.js';
import { heldOutLosses } from './held-out.js';
import { losses, type LossOptions } from './loss.js';
import { Sled } from './network.js';
import { Optimizer } from './optimizer.js';
import { initialParameters, type Parameters } from './parameters.js';
import { Progress, type Scalars } from './progress.js';
import { scheduleFactor, type TrainingConfig } from './training-config.js';

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
  /** Checkpoints kept. */
  keep?: number;
  threads?: number;
  /** Stops the run with a checkpoint. */
  signal?: AbortSignal;
  onLine?: (line: string) => void;
  onScalars?: (scalars: Scalars, step: number) => void;
  /** A checkpoint was written to this folder. */
  onCheckpoint?: (folder: string, step: number) => void | Promise<void>;
}

/** Steps in a row whose gradients are not finite before the run gives up. */
const MAX_BAD_STEPS = 10;

interface Run {
  model: Sled;
  average: Sled | null;
  optimizer: Optimizer;
  loop: LoopState;
}

/**
 * Trains, from the last checkpoint in `out` where there is one, until the schedule's end, the time or the signal.
 * Batches, guidance dropout and noise depend on (seed, step) alone, so a resumed run equals an uninterrupted one.
 * @returns the loop's state, all of it in the last checkpoint
 * @throws {CheckpointError} when the model in `out` is another one, or gradients stay NaN
 */
export async function train(options: TrainOptions): Promise<LoopState> {
  const { data, training, out, logEvery = 50, evaluateEvery = 500, saveEvery = 500, keep = 3 } = options;
  if (data.latentDim !== options.model.latentDim)
    throw new CheckpointError(
      `train: the model has latents of ${options.model.latentDim} channels, the data of ${data.latentDim}`,
    );
  if (options.threads) setNumThreads(options.threads);
  setFlushDenormal(true);
  const run = openRun(options);
  const { loop } = run;
  const progress = new Progress(options.onLine ?? (() => {}), options.onScalars ?? (() => {}));
  const deadline = options.minutes === undefined ? Infinity : performance.now() + options.minutes * 60_000;
  const plan = {
    maxFrames: training.maxSecondsPerBatch * options.frameRate,
    groupSize: training.groupSize,
    seed: training.seed,
  };
  let badSteps = 0;
  let saved = loop.step;

  const save = async () => {
    if (saved === loop.step) return;
    const state = { config: options.model, parameters: run.model.parameters, average: run.average?.parameters ?? null, optimizer: run.optimizer, loop }; // prettier-ignore
    const folder = saveCheckpoint(out, state, { training }, keep);
    saved = loop.step;
    await options.onCheckpoint?.(folder, loop.step);
  };
  const stopped = () => loop.step >= training.steps || performance.now() > deadline || options.signal?.aborted === true;

  while (!stopped()) {
    const batches = planBatches(data.frames, loop.epoch, plan);
    while (loop.batch < batches.length && !stopped()) {
      const start = performance.now();
      const scalars = trainStep(run, data, batches[loop.batch], training);
      loop.batch++;
      loop.step++;
      loop.frames += scalars.frames;
      loop.seconds += (performance.now() - start) / 1000;
      badSteps = Number.isFinite(scalars.gradient) ? 0 : badSteps + 1;
      if (badSteps >= MAX_BAD_STEPS)
        throw new CheckpointError(
          `train: gradients were not finite for ${badSteps} steps up to ${loop.step}; lower the rate`,
        );
      progress.add(scalars);
      if (loop.step % logEvery === 0) progress.log(loop);
      if (options.heldOut && loop.step % evaluateEvery === 0)
        progress.evaluation(loop, evaluate(run, options.heldOut, training, plan.maxFrames));
      if (loop.step % saveEvery === 0) await save();
      await nextTick(); // signals and timers get their turn
    }
    if (loop.batch >= batches.length) [loop.epoch, loop.batch] = [loop.epoch + 1, 0];
  }
  await save();
  return loop;
}

function openRun({ out, model: config, training, from }: TrainOptions): Run {
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(out))
    if (name.endsWith('.part')) rmSync(join(out, name), { recursive: true, force: true });
  const last = listCheckpoints(out).at(-1);
  if (last !== undefined) {
    const { config: stored, parameters, average, loop } = loadCheckpoint(last);
    checkSameModel(last, stored, config);
    const run = freshRun(config, training, parameters, average);
    loadOptimizer(last, run.optimizer);
    return { ...run, loop };
  }
  if (from === undefined) return freshRun(config, training, startOf(config, training));
  const { config: stored, parameters } = loadModel(from);
  checkSameModel(from, stored, config);
  return freshRun(config, training, parameters);
}

/** What may differ between a run and the weights that it goes on with: nothing that has a weight. */
const MAY_DIFFER = ['dropout', 'attentionDropout', 'activationDropout', 'guidanceDropout', 'guidanceScale', 'temperature', 'textPerTurn', 'framesPerTurn']; // prettier-ignore

function checkSameModel(folder: string, stored: SledConfig, config: SledConfig): void {
  const differing = Object.keys(config).filter(
    (key) => stored[key as keyof SledConfig] !== config[key as keyof SledConfig],
  );
  const wrong = differing.filter((key) => !MAY_DIFFER.includes(key));
  if (wrong.length > 0)
    throw new CheckpointError(`${folder}: its config differs from this run's in ${wrong.join(', ')}`);
}

function startOf(config: SledConfig, training: TrainingConfig): Parameters {
  manualSeed(training.seed);
  return initialParameters(config, training.trunkInit);
}

function freshRun(
  config: SledConfig,
  training: TrainingConfig,
  parameters: Parameters,
  average?: Parameters | null,
): Run {
  const averaged = training.emaDecay > 0 ? (average ?? copyOf(parameters)) : null;
  return {
    model: new Sled(parameters, config),
    average: averaged && new Sled(averaged, config),
    optimizer: new Optimizer(parameters, training),
    loop: { step: 0, epoch: 0, batch: 0, frames: 0, seconds: 0 },
  };
}

const copyOf = (parameters: Parameters): Parameters =>
  new Map([...parameters].map(([name, tensor]) => [name, tensor.detach().clone()]));

/** One update; a step whose gradients are not finite changes nothing. */
function trainStep(run: Run, data: Dataset, indices: number[], training: TrainingConfig): Scalars & { frames: number } {
  const { model, optimizer, loop } = run;
  const factor = scheduleFactor(loop.step, training);
  return scope(() => {
    const random = new Random(training.seed, 1, loop.step);
    const dropText = indices.map(() => random.uniform() < model.config.guidanceDropout);
    const batch = makeBatch(indices.map((index) => data.sample(index)), dropText, model.config); // prettier-ignore
    manualSeed(training.seed * 2 ** 32 + loop.step + 1);
    const compute = () => losses(model, batch, lossOptions(training, true));
    const { total, energy, end, alignment } = training.precision === 'bf16' ? autocast('bfloat16', compute) : compute();
    total.backward();
    const gradient = clipGradNorm([...model.parameters.values()], training.clip);
    if (Number.isFinite(gradient)) {
      optimizer.step(factor);
      if (run.average)
        follow(
          run.average.parameters,
          model.parameters,
          Math.min(training.emaDecay, (1 + loop.step) / (10 + loop.step)),
        );
    }
    optimizer.zeroGrad();
    return { energy: energy.item(), end: end.item(), alignment: alignment?.item(), gradient, rate: factor, frames: batch.frames, positions: batch.positions }; // prettier-ignore
  });
}

const lossOptions = (training: TrainingConfig, isTraining: boolean): LossOptions => ({
  ...training,
  training: isTraining,
});

const foreachLerp_ = op('aten::_foreach_lerp_', 'Scalar');

/** average = decay * average + (1 - decay) * parameters, in place. */
function follow(average: Parameters, parameters: Parameters, decay: number): void {
  noGrad(() => foreachLerp_([...average.values()] as Tensor[], [...parameters.values()] as Tensor[], 1 - decay));
}

function evaluate({ model, average }: Run, heldOut: Dataset, training: TrainingConfig, maxFrames: number) {
  return heldOutLosses(average ?? model, heldOut, {
    ...lossOptions(training, false),
    precision: training.precision,
    maxFrames,
  });
}
