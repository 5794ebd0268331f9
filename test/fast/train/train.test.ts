import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { liveTensors } from '@sled-tts/torch';
import { listCheckpoints } from '../../../src/train/checkpoint.js';
import { train, type TrainOptions } from '../../../src/train/train.js';
import { TINY_MODEL, TINY_TRAINING, tinyDataset } from './tiny.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'train-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const options = (name: string, more: Partial<TrainOptions> = {}): TrainOptions => ({
  data: tinyDataset(24),
  frameRate: 1,
  out: join(folder, name),
  model: TINY_MODEL,
  training: TINY_TRAINING,
  logEvery: 4,
  saveEvery: 4,
  threads: 1,
  ...more,
});

const lastFiles = (name: string) => {
  const last = listCheckpoints(join(folder, name)).at(-1)!;
  return ['model', 'weights', 'optimizer'].map((file) =>
    readFileSync(join(last, `${file}.safetensors`)).toString('base64'),
  );
};

test('resumes to the same bits as an uninterrupted run, with EMA and dropout on', async () => {
  await train(options('whole'));
  const controller = new AbortController();
  let lines = 0;
  await train(
    options('parts', {
      logEvery: 1,
      saveEvery: 100,
      signal: controller.signal,
      onLine: () => ++lines === 5 && controller.abort(),
    }),
  );
  expect(listCheckpoints(join(folder, 'parts')).map((path) => path.slice(-8))).toEqual(['00000005']);
  const loop = await train(options('parts'));
  expect(loop.step).toBe(12);
  expect(lastFiles('parts')).toEqual(lastFiles('whole'));
});

test('another seed gives other weights', async () => {
  await train(options('a'));
  await train(options('b', { training: { ...TINY_TRAINING, seed: 1 } }));
  expect(lastFiles('a')[0]).not.toEqual(lastFiles('b')[0]);
});

test('learns what the text says: held-out energy falls and the text decides it', async () => {
  const lines: string[] = [];
  const training = { ...TINY_TRAINING, steps: 240, decaySteps: 100 };
  const model = { ...TINY_MODEL, dropout: 0 };
  await train(
    options('learn', {
      training,
      model,
      heldOut: tinyDataset(16, 2),
      evaluateEvery: 25,
      saveEvery: 1000,
      onLine: (line) => lines.push(line),
    }),
  );
  const held = lines
    .filter((line) => line.includes('held out'))
    .map((line) =>
      line
        .match(/energy ([\d.]+).*share ([-\d.]+)/)!
        .slice(1)
        .map(Number),
    );
  expect(held).toHaveLength(10); // the last of them where the schedule ends
  expect(held.at(-1)![0]).toBeLessThan(held[0][0] * 0.75);
  expect(held.at(-1)![1]).toBeGreaterThan(0.1);
}, 60_000);

/** Frees what nothing refers to any more. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let before = Infinity; liveTensors() < before;) {
    before = liveTensors();
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('keeps no tensors from step to step', async () => {
  await train(options('warm', { training: { ...TINY_TRAINING, steps: 3, emaDecay: 0 } }));
  await collectGarbage(); // what earlier runs left to the collector would go at any time
  const counts: number[] = [];
  await train(
    options('flat', {
      training: { ...TINY_TRAINING, steps: 30 },
      logEvery: 1,
      onLine: () => counts.push(liveTensors()),
    }),
  );
  expect(counts.at(-1)).toBe(counts[3]);
});

test('removes what a killed run left half-written, and keeps a few whole checkpoints', async () => {
  await train(options('kept', { keep: 2 }));
  const out = join(folder, 'kept');
  expect(readdirSync(out)).toEqual(['step-00000008', 'step-00000012']);
  writeFileSync(join(out, 'step-00000099.part'), 'x');
  await train(options('kept', { keep: 2 }));
  expect(readdirSync(out)).toEqual(['step-00000008', 'step-00000012']);
});

test('refuses data and checkpoints of another shape', async () => {
  await train(options('shape'));
  await expect(train(options('shape', { model: { ...TINY_MODEL, layers: 3 } }))).rejects.toThrow(/layers/);
  await expect(train(options('other', { model: { ...TINY_MODEL, latentDim: 8 } }))).rejects.toThrow(/latents of 8/);
});
