import { clipGradNorm, noGrad, op, scope, stack, zeros, type Tensor } from '@sled-tts/torch';
import type { Dataset } from '../data/sample.js';
import { toTensors, type TrainingBatch } from './batch.js';
import type { LoopState } from './checkpoint.js';
import { countsOf, losses, type Counts } from './loss.js';
import type { Sled } from './network.js';
import { drawNoise, seedDropout, type StepNoise } from './noise.js';
import type { Optimizer } from './optimizer.js';
import type { Parameters } from './parameters.js';
import { computeIn } from './precision.js';
import type { Scalars } from './progress.js';
import type { Ranks } from './ranks.js';
import { layOutStep, type PartLayout } from './step-layout.js';
import { scheduleFactor, type TrainingConfig } from './training-config.js';

/** What a step changes. */
export interface Run {
  model: Sled;
  average: Sled | null;
  optimizer: Optimizer;
  loop: LoopState;
}

/** A share of a step's batch that is computed at once. */
interface Part {
  /** Among the parts of all ranks. */
  number: number;
  batch: TrainingBatch;
  noise: StepNoise;
}

/** Steps over which the usual gradient norm is averaged. */
const USUAL_OVER = 50;

/**
 * One update from a batch of which this rank computes its share; all ranks end with the same weights. Losses are
 * averaged over the real frames of all parts and ranks. A step whose gradients are not finite, or far above the usual,
 * changes no weights.
 * @param laidOut this rank's parts; null where it wants to stop: one rank is enough
 * @param waited seconds that passed until they were laid out
 * @returns null when the ranks agreed to stop instead
 */
export function trainStep(
  run: Run,
  { laidOut, waited, training, ranks }: { laidOut: PartLayout[] | null; waited: number; training: TrainingConfig; ranks: Ranks }, // prettier-ignore
): (Scalars & { skipped: boolean }) | null {
  const { model, optimizer, loop } = run;
  return scope(() => {
    const start = performance.now();
    const batches = (laidOut ?? []).map(({ layout }) => toTensors(layout, model.config, model.device));
    const waiting = waited + (performance.now() - start) / 1000;
    const parts = (laidOut ?? []).map((part, i) => withNoise(part, batches[i], model, { training, step: loop.step }));
    const { counts, positions, stopping } = agree(ranks, parts, laidOut === null);
    if (stopping) return null;
    const computed = backward(model, parts, { training, counts, step: loop.step, ranks });
    const gradient = clipGradNorm([...model.parameters.values()], training.clip);
    const sums = sumOf(computed);
    const rate = scheduleFactor(loop.step, training);
    const skipped = !isUsual(gradient, loop, training.spikeFactor);
    if (!skipped) update(run, training, rate);
    if (Number.isFinite(gradient)) remember(gradient, loop);
    optimizer.zeroGrad();
    const [energy, end, alignment] = ranks.sum(sums);
    const reported = { energy, end, ...(counts.aligned > 0 && training.alignmentWeight > 0 ? { alignment } : {}) };
    return { ...reported, gradient, rate, frames: counts.frames, positions, waiting, skipped };
  });
}

/** Forward and backward of this rank's share of a batch, without the other ranks and without an update. */
export function tryStep(
  { model, loop }: Run,
  { data, indices, training, ranks }: { data: Dataset; indices: readonly number[]; training: TrainingConfig; ranks: Ranks }, // prettier-ignore
): void {
  scope(() => {
    const { step } = loop;
    const options = { ...training, model: model.config, rank: ranks.rank, size: ranks.size };
    const parts = layOutStep(data, { step, indices }, options).map((part) =>
      withNoise(part, toTensors(part.layout, model.config, model.device), model, { training, step }),
    );
    const alone = { ...ranks, gradients: null, sum: (values: readonly number[]) => [...values] };
    const { counts } = agree(alone, parts, false);
    sumOf(backward(model, parts, { training, counts, step, ranks: alone }));
  });
}

interface PartOptions {
  training: TrainingConfig;
  step: number;
  ranks: Ranks;
}

function withNoise(
  { number, places, frames }: PartLayout,
  batch: TrainingBatch,
  { config, device }: Sled,
  { training, step }: Omit<PartOptions, 'ranks'>,
): Part {
  const { seed, latentNoise } = training;
  const { noiseDim, latentDim } = config;
  return { number, batch, noise: drawNoise(places, frames, { seed, step, noiseDim, latentDim, latentNoise, device }) };
}

/** The counts of all ranks together, and whether one of them wants to stop. */
function agree(ranks: Ranks, parts: readonly Part[], stop: boolean) {
  const counts = parts.map(({ batch }) => countsOf(batch));
  const sum = (key: keyof Counts) => counts.reduce((total, count) => total + count[key], 0);
  const own = parts.reduce((total, { batch }) => total + batch.positions, 0);
  const [frames, ends, aligned, positions, stopping] = ranks.sum([
    ...[sum('frames'), sum('ends'), sum('aligned'), own],
    Number(stop),
  ]);
  return { counts: { frames, ends, aligned }, positions, stopping: stopping > 0 };
}

/**
 * Gradients of the whole step, summed over parts and ranks. Returns energy, end and alignment of each of this rank's
 * parts, [3]: to read them would wait for what computes them.
 */
function backward(
  model: Sled,
  parts: readonly Part[],
  { training, counts, step, ranks }: PartOptions & { counts: Counts },
): Tensor[] {
  const computed: Tensor[] = [];
  for (const [i, { number, batch, noise }] of parts.entries()) {
    if (i === parts.length - 1) ranks.gradients?.arm();
    seedDropout(training.seed, step, number);
    // Each part's graph is given back before the next is built.
    const shares = scope(() => {
      const { total, energy, end, alignment } = computeIn(training.precision, () =>
        losses(model, batch, { ...training, ...noise, counts, training: true }),
      );
      total.backward();
      return noGrad(() => stack([energy, end, alignment ?? zeros([], { device: energy.device })]));
    });
    computed.push(shares);
  }
  if (parts.length === 0) ranks.gradients?.arm();
  ranks.gradients?.finish();
  return computed;
}

/** The sum of `backward`'s losses over this rank's parts. */
function sumOf(computed: readonly Tensor[]): number[] {
  const parts = computed.map((losses) => losses.toFloat32Array());
  return [0, 1, 2].map((k) => parts.reduce((sum, part) => sum + part[k], 0));
}

function isUsual(gradient: number, { usualGradient }: LoopState, spikeFactor: number): boolean {
  if (!Number.isFinite(gradient)) return false;
  return spikeFactor === 0 || usualGradient === 0 || gradient <= spikeFactor * usualGradient;
}

/** A spike moves what is usual by no more than twice the usual, so that one does not hide the next. */
function remember(gradient: number, loop: LoopState): void {
  if (loop.usualGradient === 0) loop.usualGradient = gradient;
  else loop.usualGradient += (Math.min(gradient, 2 * loop.usualGradient) - loop.usualGradient) / USUAL_OVER;
}

function update({ model, average, optimizer, loop }: Run, { emaDecay }: TrainingConfig, rate: number): void {
  optimizer.step(rate, loop.step);
  if (average) follow(average.parameters, model.parameters, Math.min(emaDecay, (1 + loop.step) / (10 + loop.step)));
}

const foreachLerp_ = op('aten::_foreach_lerp_', 'Scalar');

/** average = decay * average + (1 - decay) * parameters, in place and in float32. */
function follow(average: Parameters, parameters: Parameters, decay: number): void {
  noGrad(() => {
    const current = [...parameters.values()].map((tensor) => tensor.to('float32'));
    foreachLerp_([...average.values()] as Tensor[], current, 1 - decay);
  });
}
