import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { manualSeed } from '@sled-tts/torch';
import type { SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { listCheckpoints, loadCheckpoint, loadModel, loadOptimizer } from './checkpoint.js';
import { Sled } from './network.js';
import { Optimizer } from './optimizer.js';
import { initialParameters, type Parameters } from './parameters.js';
import { storedIn } from './precision.js';
import type { Run } from './step.js';
import type { TrainingConfig } from './training-config.js';

export interface RunOptions {
  out: string;
  model: SledConfig;
  training: TrainingConfig;
  from?: string;
}

/** Makes the folder of a run, without what a killed process left half-written there. */
export function makeFolder(out: string): void {
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(out))
    if (name.endsWith('.part')) rmSync(join(out, name), { recursive: true, force: true });
}

/** A run where its last checkpoint stands, or a fresh one, from other weights where `from` names them. */
export function openRun({ out, model: config, training, from }: RunOptions): Run {
  const last = listCheckpoints(out).at(-1);
  if (last !== undefined) {
    const { config: stored, parameters, average, loop } = loadCheckpoint(last);
    checkSameModel(last, stored, config);
    const run = runOf(config, training, parameters, average);
    loadOptimizer(last, run.optimizer);
    return { ...run, loop };
  }
  if (from === undefined) return newRun(config, training);
  const { config: stored, parameters } = loadModel(from);
  checkSameModel(from, stored, config);
  return runOf(config, training, parameters);
}

/** What may differ between a run and the weights that it goes on with: nothing that has a weight. */
const MAY_DIFFER = ['dropout', 'attentionDropout', 'activationDropout', 'guidanceDropout', 'guidanceScale', 'temperature', 'textPerTurn', 'framesPerTurn', 'alignmentHeads']; // prettier-ignore

function checkSameModel(folder: string, stored: SledConfig, config: SledConfig): void {
  const differing = Object.keys(config).filter(
    (key) => stored[key as keyof SledConfig] !== config[key as keyof SledConfig],
  );
  const wrong = differing.filter((key) => !MAY_DIFFER.includes(key));
  if (wrong.length > 0)
    throw new CheckpointError(`${folder}: its config differs from this run's in ${wrong.join(', ')}`);
}

/** A run with the seed's initial weights. */
export function newRun(config: SledConfig, training: TrainingConfig): Run {
  manualSeed(training.seed);
  return runOf(config, training, initialParameters(config, training.trunkInit));
}

function runOf(config: SledConfig, training: TrainingConfig, weights: Parameters, average?: Parameters | null): Run {
  const averaged = training.emaDecay > 0 ? (average ?? copyOf(weights)) : null;
  const parameters = storedIn(training.precision, weights);
  return {
    model: new Sled(parameters, config),
    average: averaged && new Sled(averaged, config),
    optimizer: new Optimizer(parameters, training),
    loop: { step: 0, epoch: 0, batch: 0, frames: 0, seconds: 0, usualGradient: 0, skipped: 0, bestEnergy: 0 },
  };
}

const copyOf = (parameters: Parameters): Parameters =>
  new Map([...parameters].map(([name, tensor]) => [name, tensor.detach().clone()]));
