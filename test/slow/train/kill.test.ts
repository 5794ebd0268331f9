import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../../src/data/random.js';
import { writeShard } from '../../../src/data/shards.js';
import { writeConfig } from '../../../src/model/config.js';
import { TINY_MODEL, TINY_TRAINING, tinyDataset } from '../../fast/train/tiny.js';

const COMMAND = join(import.meta.dirname, '../../../dist/cli/main.js');
const KILLS = 24;
const STEPS = 120;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kill-'));
  const data = tinyDataset(40);
  const rows = Array.from({ length: data.length }, (_, i) => {
    const { id, text, tokens, frames, copyLatents } = data.sample(i);
    const latents = new Float32Array(frames * data.latentDim);
    copyLatents(latents, 0);
    return { id, text, tokens, latents, ends: Array.from({ length: tokens.length - 2 }, (_, k) => 20 * (k + 1)) };
  });
  writeShard(join(folder, 'data-0.arrow'), rows, { latentDim: 4, hopLength: 10, sampleRate: 10, frontEnd: 'tiny' });
  // hidden matrices wide enough for Muon, so that its momentum has to survive as well
  const model = { ...TINY_MODEL, width: 48, ffnWidth: 64, headWidth: 48 };
  const training = { ...TINY_TRAINING, steps: STEPS, matrixLearningRate: 1e-3, emaDecay: 0.95 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model: writeConfig(model), training }));
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(out: string, saveEvery: number) {
  const flags = ['--data', folder, '--out', out, '--save-every', String(saveEvery), '--threads', '1', '--quiet'];
  const child = spawn(process.execPath, [COMMAND, 'train', join(folder, 'config.json'), ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => (errors += text));
  const ended = new Promise<{ code: number | null; errors: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, errors })),
  );
  return { child, ended };
}

const steps = (out: string) => {
  try {
    return readdirSync(out).filter((name) => name.startsWith('step-') && !name.endsWith('.part'));
  } catch {
    return [];
  }
};

const isWriting = (out: string) => readdirSync(out).some((name) => name.endsWith('.part'));

test(`goes on to the same bits after ${KILLS} kills at random times, checkpoint writes among them`, async () => {
  const whole = start(join(folder, 'whole'), 20);
  expect(await whole.ended).toMatchObject({ code: 0 });

  const out = join(folder, 'killed');
  const random = new Random(5);
  let inWrite = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { child, ended } = start(out, 1);
    const before = steps(out).at(-1);
    while (steps(out).at(-1) === before && child.exitCode === null) await sleep(5); // it got somewhere: every step is saved
    if (kill % 2 === 0) await sleep(random.uniform() * 60);
    else while (!isWriting(out) && child.exitCode === null) await nextTick();
    child.kill('SIGKILL');
    await ended;
    if (isWriting(out)) inWrite++;
    if (steps(out).at(-1) === `step-${String(STEPS).padStart(8, '0')}`) break;
  }
  expect(inWrite, 'kills inside a checkpoint write').toBeGreaterThan(0);
  expect(await start(out, 1).ended).toMatchObject({ code: 0 });

  const last = (run: string) => join(folder, run, steps(join(folder, run)).at(-1)!);
  for (const file of ['model.safetensors', 'weights.safetensors', 'optimizer.safetensors'])
    expect(readFileSync(join(last('killed'), file)).equals(readFileSync(join(last('whole'), file))), file).toBe(true);
});
