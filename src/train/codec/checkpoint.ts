import { getRngState, noGrad, scope, setRngState, tensor, type Tensor } from '@sled-tts/torch';
import { CheckpointError } from '../../model/errors.js';
import {
  fromFloat32,
  readSafetensors,
  toFloat32,
  writeSafetensors,
  type SafetensorsArray,
} from '../../model/safetensors.js';
import type { CodecRecipe, CodecTrainer } from './codec-trainer.js';
import type { CropSampler } from './crops.js';

/** What a checkpoint's metadata says. */
interface LoopState {
  readonly step: number;
  readonly sampler: number;
  readonly gradientNorm: number | undefined;
  readonly recipe: CodecRecipe;
}

const RNG = 'rng';

/** Writes weights, averages, the optimiser, random generators and the place in the data, as one file replaced whole. */
export function saveCheckpoint(path: string, trainer: CodecTrainer, sampler: CropSampler): void {
  const arrays = new Map<string, SafetensorsArray>();
  for (const [name, value] of tensorsOf(trainer))
    arrays.set(name, fromFloat32(value.toFloat32Array(), [...value.shape]));
  const rng = getRngState();
  arrays.set(RNG, { dtype: 'U8', shape: [rng.length], bytes: rng });
  const state: LoopState = {
    step: trainer.step,
    sampler: sampler.state,
    gradientNorm: trainer.gradient.averageNorm,
    recipe: trainer.recipe,
  };
  writeSafetensors(path, arrays, { state: JSON.stringify(state) });
}

/** The recipe that a checkpoint was trained with. @throws {CheckpointError} */
export function readRecipe(path: string): CodecRecipe {
  return loopState(path, readSafetensors(path).metadata).recipe;
}

/** Puts a trainer and a sampler where `saveCheckpoint` found them. @throws {CheckpointError} naming what does not fit. */
export function loadCheckpoint(path: string, trainer: CodecTrainer, sampler: CropSampler): void {
  const { tensors, metadata } = readSafetensors(path);
  const state = loopState(path, metadata);
  const own = tensorsOf(trainer);
  const faults = [...own].flatMap(([name, { shape }]) => {
    const saved = tensors.get(name);
    if (!saved) return [`${name} is missing`];
    return saved.shape.join() === shape.join() ? [] : [`${name} is [${saved.shape}], expected [${shape}]`];
  });
  const rng = tensors.get(RNG);
  if (faults.length > 0 || !rng) {
    throw new CheckpointError(
      `${path}: does not fit this codec: ${[...faults, ...(rng ? [] : ['rng is missing'])].join('; ')}`,
    );
  }
  noGrad(() =>
    scope(() => {
      for (const [name, target] of own) target.copy_(tensor(toFloat32(tensors.get(name)!), target.shape));
    }),
  );
  setRngState(rng.bytes);
  trainer.step = state.step;
  trainer.gradient.averageNorm = state.gradientNorm;
  sampler.state = state.sampler;
}

function loopState(path: string, metadata: Record<string, string>): LoopState {
  try {
    return JSON.parse(metadata.state) as LoopState;
  } catch {
    throw new CheckpointError(`${path}: no checkpoint of a codec's training; its metadata holds no state`);
  }
}

function tensorsOf(trainer: CodecTrainer): Map<string, Tensor> {
  const groups: [string, Iterable<[string, Tensor]>][] = [
    ['decoder', trainer.decoder.weights],
    ['average', trainer.average],
    ['optimizer', Object.entries(trainer.optimizer.state())],
  ];
  return new Map(
    groups.flatMap(([group, entries]) => [...entries].map(([name, value]) => [`${group}.${name}`, value])),
  );
}
