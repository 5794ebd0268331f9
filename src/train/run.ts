import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { manualSeed, noGrad, type Device, type Tensor } from '@sled-tts/torch';
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
  /** Where it computes; the CPU when absent. */
  device?: Device;
}

/** Makes the folder of a run, without what a killed process left half-written there. */
export function makeFolder(out: string): void {
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(out))
    if (name.endsWith('.part')) rmSync(join(out, name), { recursive: true, force: true });
}

/** A run where its last checkpoint stands, or a fresh one, from other weights where `from` names them. */
export function openRun({ out, model: config, training, from, device }: RunOptions): Run {
  const last = listCheckpoints(out).at(-1);
  if (last !== undefined) {
    const { config: stored, parameters, average, loop } = loadCheckpoint(last);
    checkSameModel(last, stored, config);
    const run = runOf(config, training, { weights: parameters, average, device });
    loadOptimizer(last, run.optimizer);
    return { ...run, loop };
  }
  if (from === undefined) return newRun(config, training, device);
  const { config: stored, parameters } = loadModel(from);
  checkSameModel(from, stored, config);
  return runOf(config, training, { weights: parameters, device });
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

/** A run with the seed's initial weights, the same on every device. */
export function newRun(config: SledConfig, training: TrainingConfig, device?: Device): Run {
  manualSeed(training.seed);
  return runOf(config, training, { weights: initialParameters(config, training.trunkInit), device });
}

interface Weights {
  /** float32, on the CPU */
  weights: Parameters;
  average?: Parameters | null;
  device?: Device;
}

function runOf(config: SledConfig, training: TrainingConfig, { weights, average, device = 'cpu' }: Weights): Run {
  const averaged = training.emaDecay > 0 ? movedTo(device, average ?? copyOf(weights)) : null;
  const parameters = movedTo(device, storedIn(training.precision, weights));
  return {
    model: new Sled(parameters, config),
    average: averaged && new Sled(averaged, config),
    optimizer: new Optimizer(parameters, training),
    loop: { step: 0, epoch: 0, batch: 0, frames: 0, seconds: 0, usualGradient: 0, skipped: 0, bestEnergy: 0 },
  };
}

/** Parameters on a device; those of the CPU are given back where they are copied. */
function movedTo(device: Device, parameters: Parameters): Parameters {
  if (device === 'cpu') return parameters;
  const move = (tensor: Tensor): Tensor => {
    const moved = noGrad(() => tensor.to(device)).requiresGrad_(tensor.requiresGrad);
    tensor.free();
    return moved;
  };
  return new Map([...parameters].map(([name, tensor]) => [name, move(tensor)]));
}

const copyOf = (parameters: Parameters): Parameters =>
  new Map([...parameters].map(([name, tensor]) => [name, tensor.detach().clone()]));
