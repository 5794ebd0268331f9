import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { tensor, type Tensor } from '@sled-tts/torch';
import { writeConfig, parseConfig, type SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { readSafetensors, toFloat32, writeSafetensors, type SafetensorsArray } from '../model/safetensors.js';
import { arrayOf, exportParameters, loadParameters, type Parameters } from './parameters.js';

/** Where a run stands. Noise, dropout and batches are drawn from (seed, step), so nothing else is needed to go on. */
export interface LoopState {
  /** Steps done. */
  step: number;
  epoch: number;
  /** Batches of the epoch that are done. */
  batch: number;
  /** Real frames seen. */
  frames: number;
  /** Time spent training, over all processes that took part one after another. */
  seconds: number;
  /** Running mean of the gradient norm; 0 before the first step. */
  usualGradient: number;
  /** Steps that changed nothing. */
  skipped: number;
  /** Lowest held-out energy of a checkpoint; 0 before the first. */
  bestEnergy: number;
}

/** All of a training run. */
export interface TrainingState {
  config: SledConfig;
  parameters: Parameters;
  /** Averaged weights; null without. */
  average: Parameters | null;
  optimizer: { state(): Map<string, Tensor>; loadState(state: ReadonlyMap<string, Tensor>): void };
  loop: LoopState;
}

const folderName = (step: number) => `step-${String(step).padStart(8, '0')}`;
const STEP_FOLDER = /^step-(\d{8,})$/;

/** Folders of whole checkpoints, oldest first. */
export function listCheckpoints(out: string): string[] {
  return readdirSync(out).filter((name) => STEP_FOLDER.test(name)).sort().map((name) => join(out, name)); // prettier-ignore
}

/**
 * Writes `out/step-N/`: config.json and model.safetensors in the released layout (the averaged weights where there
 * are any), weights.safetensors (the raw ones), optimizer.safetensors, state.json. The folder is written beside, then
 * renamed: a killed run leaves the last whole checkpoint. Older ones beyond `keep` are removed, except the best.
 * @throws {CheckpointError} when it cannot be written, for want of space; the earlier ones stay
 */
export function saveCheckpoint(
  out: string,
  state: TrainingState,
  extra: Record<string, unknown>,
  keep: number,
): string {
  const target = join(out, folderName(state.loop.step));
  const temporary = `${target}.part`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    writeState(temporary, state, extra);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    const last = listCheckpoints(out).at(-1);
    throw new CheckpointError(
      `${target}: cannot be written: ${(error as Error).message}; ` +
        (last ? `${basename(last)} is whole, and the same command goes on from it` : 'there is no earlier one'),
      { cause: error },
    );
  }
  rmSync(target, { recursive: true, force: true });
  renameSync(temporary, target);
  syncFolder(out);
  const best = bestCheckpoint(out);
  for (const old of listCheckpoints(out).slice(0, -keep))
    if (basename(old) !== best) rmSync(old, { recursive: true, force: true });
  return target;
}

function writeState(folder: string, state: TrainingState, extra: Record<string, unknown>): void {
  const { config, parameters, average } = state;
  const write = (name: string, tensors: Map<string, SafetensorsArray>, metadata?: Record<string, string>) =>
    writeSafetensors(join(folder, `${name}.safetensors`), tensors, metadata);
  mkdirSync(folder, { recursive: true });
  writeJson(join(folder, 'config.json'), writeConfig(config));
  write('model', exportParameters(config, average ?? parameters), { format: 'pt' });
  if (average) write('weights', exportParameters(config, parameters), { format: 'pt' });
  write('optimizer', new Map([...state.optimizer.state()].map(([name, values]) => [name, arrayOf(values)])));
  writeJson(join(folder, 'state.json'), { ...state.loop, ...extra });
  syncFolder(folder);
}

/** Points `out/best` to a checkpoint, which is then kept whatever comes after it. */
export function markBest(out: string, checkpoint: string): void {
  const temporary = join(out, 'best.part');
  rmSync(temporary, { force: true });
  symlinkSync(basename(checkpoint), temporary);
  renameSync(temporary, join(out, 'best'));
  syncFolder(out);
}

function bestCheckpoint(out: string): string | null {
  return readdirSync(out).includes('best') ? readlinkSync(join(out, 'best')) : null;
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`, { flush: true });
}

/** Makes a rename inside the folder survive a power cut. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return; // folders cannot be opened there
  const folder = openSync(path, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** The network of any model folder: a checkpoint's (its averaged weights where it has them) or a published one's. */
export function loadModel(folder: string): { config: SledConfig; parameters: Parameters } {
  const path = join(folder, 'model.safetensors');
  const config = parseConfig(readJson(join(folder, 'config.json')), join(folder, 'config.json'));
  return { config, parameters: loadParameters(config, readSafetensors(path).tensors, path) };
}

/** What a checkpoint holds of the network and the loop; `loadOptimizer` gives the rest once there is an optimiser. */
export function loadCheckpoint(folder: string): Omit<TrainingState, 'optimizer'> & { extra: Record<string, unknown> } {
  const config = parseConfig(readJson(join(folder, 'config.json')), join(folder, 'config.json'));
  const load = (name: string) =>
    loadParameters(config, readSafetensors(join(folder, name)).tensors, join(folder, name));
  const averaged = readdirSync(folder).includes('weights.safetensors');
  const state = readJson(join(folder, 'state.json')) as unknown as LoopState;
  // Checkpoints from before spikes and the best were looked at lack the last three.
  const { step, epoch, batch, frames, seconds, usualGradient = 0, skipped = 0, bestEnergy = 0, ...extra } = state;
  return {
    config,
    parameters: load(averaged ? 'weights.safetensors' : 'model.safetensors'),
    average: averaged ? load('model.safetensors') : null,
    loop: { step, epoch, batch, frames, seconds, usualGradient, skipped, bestEnergy },
    extra: extra as Record<string, unknown>,
  };
}

/** Gives an optimiser the state that a checkpoint holds. */
export function loadOptimizer(folder: string, optimizer: TrainingState['optimizer']): void {
  const { tensors } = readSafetensors(join(folder, 'optimizer.safetensors'));
  optimizer.loadState(new Map([...tensors].map(([name, array]) => [name, tensor(toFloat32(array), array.shape)])));
}

function readJson(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new CheckpointError(`${path}: ${(error as Error).message}`);
  }
}
