import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { runLocalRanks } from './local-ranks.js';
import { runTraining, type TrainFlags, type TrainingConfigs } from './run-training.js';
import { parseJson } from './training-module.js';
import type { World } from './world.js';

export interface TogetherFlags extends TrainFlags {
  /** Processes on this machine that train together; this one alone when absent. */
  processes?: number;
  /** Seconds that one waits for the others. */
  timeout?: number;
}

/**
 * Trains a configuration that is no file of the user's, in this process or in several, which read it from a file beside
 * `out`.
 * @returns steps done, and the last checkpoint
 */
export async function trainTogether(
  world: World,
  configs: TrainingConfigs,
  flags: TogetherFlags,
): Promise<{ step: number; checkpoint: string }> {
  const { processes = 1, codec, sample, steps: _steps, seed: _seed, ...rest } = flags;
  if (processes === 1) return runTraining(world, configs, flags);
  const { writeConfig } = await import('../model/config.js');
  const { writeWhole } = await import('../model/safetensors.js');
  const { listCheckpoints } = await import('../train/checkpoint.js');
  const config = join(dirname(flags.out), 'config.json');
  const json = JSON.stringify({ model: writeConfig(configs.model), training: configs.training }, null, 2);
  writeWhole(config, [Buffer.from(`${json}\n`)]);
  const spoken = sample ? { codec, sample } : {};
  const command = [process.argv[1], 'train', config, ...argumentsOf({ ...rest, ...spoken })];
  const stdout = new Writable({ write: (_chunk, _encoding, done) => done() }); // the ranks' result is not the command's
  await runLocalRanks(command, processes, { ...world, stdout });
  const checkpoint = listCheckpoints(flags.out).at(-1);
  if (checkpoint === undefined) throw new Error(`${flags.out}: stopped before the first step`);
  return { step: Number(checkpoint.split('-').at(-1)), checkpoint };
}

/** Seconds of a run by `trainTogether` that is `steps` long and writes to `out`. */
export async function timeTogether(
  world: World,
  { model, training }: TrainingConfigs,
  { data, from, threads, device, processes, timeout }: TogetherFlags,
  { steps, out }: { steps: number; out: string },
): Promise<number> {
  const configs = { model, training: { ...training, steps } };
  const { checkpoint } = await trainTogether(world, configs, { data, out, from, threads, device, processes, timeout, quiet: true }); // prettier-ignore
  const path = join(checkpoint, 'state.json');
  return (parseJson(readFileSync(path, 'utf8'), path) as { seconds: number }).seconds;
}

/** `{ saveEvery: 100, quiet: true }` -> `--save-every 100 --quiet` */
function argumentsOf(flags: object): string[] {
  return Object.entries(flags).flatMap(([key, value]: [string, unknown]) => {
    const name = `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    return value === true ? [name] : [name, ...[value].flat().map(String)];
  });
}
