import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeShard } from '../../../src/data/shards.js';
import { writeConfig, type SledConfig } from '../../../src/model/config.js';
import type { TrainingConfig } from '../../../src/train/training-config.js';
import { TINY_MODEL, TINY_TRAINING, tinyDataset } from './tiny.js';

export const COMMAND = join(import.meta.dirname, '../../../dist/cli/main.js');

/** Writes shards and `config.json` of a tiny training run. */
export function writeTinyRun(folder: string, training: Partial<TrainingConfig>, model: Partial<SledConfig> = {}): void {
  const data = tinyDataset(40);
  const rows = Array.from({ length: data.length }, (_, i) => {
    const { id, text, tokens, frames, copyLatents } = data.sample(i);
    const latents = new Float32Array(frames * data.latentDim);
    copyLatents(latents, 0);
    return { id, text, tokens, latents, ends: Array.from({ length: tokens.length - 2 }, (_, k) => 20 * (k + 1)) };
  });
  writeShard(join(folder, 'data-0.arrow'), rows, { latentDim: 4, hopLength: 10, sampleRate: 10, frontEnd: 'tiny' });
  // hidden matrices wide enough for Muon, so that its momentum has to survive as well
  const wide = { ...TINY_MODEL, width: 48, ffnWidth: 64, headWidth: 48, ...model };
  const full = { ...TINY_TRAINING, matrixLearningRate: 1e-3, emaDecay: 0.95, ...training };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model: writeConfig(wide), training: full }));
}

export interface Started {
  child: ChildProcess;
  ended: Promise<{ code: number | null; output: string; errors: string }>;
}

/** Starts `sled-tts train` on a tiny run. */
export function startTraining(
  folder: string,
  flags: readonly string[],
  { env = {}, before = [] }: { env?: Record<string, string>; before?: readonly string[] } = {},
): Started {
  const train = [process.execPath, COMMAND, 'train', join(folder, 'config.json'), '--data', folder, ...flags];
  const [program, ...args] = [...before, ...train];
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (errors += text));
  const ended = new Promise<Awaited<Started['ended']>>((resolve) =>
    child.on('close', (code) => resolve({ code, output, errors })),
  );
  return { child, ended };
}

/** Names of a run's whole checkpoints, oldest first. */
export function stepFolders(out: string): string[] {
  try {
    return readdirSync(out).filter((name) => /^step-\d+$/.test(name)).sort(); // prettier-ignore
  } catch {
    return [];
  }
}
