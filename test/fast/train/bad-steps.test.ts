import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Tensor, zeros } from '@sled-tts/torch';
import type { Dataset, Sample } from '../../../src/data/sample.js';
import { listCheckpoints, loadCheckpoint } from '../../../src/train/checkpoint.js';
import { train, type TrainOptions } from '../../../src/train/train.js';
import { TINY_MODEL, TINY_TRAINING, tinyDataset } from './tiny.js';

let folder: string;
let lines: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bad-steps-'));
  lines = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const options = (more: Partial<TrainOptions> = {}): TrainOptions => ({
  data: tinyDataset(24), frameRate: 1, out: join(folder, 'run'), model: { ...TINY_MODEL, dropout: 0 }, training: TINY_TRAINING,
  logEvery: 1, saveEvery: 1, keep: 100, threads: 1, onLine: (line) => lines.push(line), ...more,
}); // prettier-ignore

/** The data, but what `change` makes of an utterance's latents [T, D]. */
const changed = (data: Dataset, change: (latents: Float32Array, sample: Sample) => void): Dataset => ({
  ...data,
  sample: (index) => {
    const sample = data.sample(index);
    const copyLatents = (out: Float32Array, offset: number) => {
      sample.copyLatents(out, offset);
      change(out.subarray(offset, offset + sample.frames * data.latentDim), sample);
    };
    return { ...sample, copyLatents };
  },
});

const weightsAt = (step: number) =>
  readFileSync(join(folder, 'run', `step-${String(step).padStart(8, '0')}`, 'weights.safetensors')).toString('base64');
const skippedSteps = (last: number) =>
  Array.from({ length: last - 1 }, (_, i) => i + 2).filter((step) => weightsAt(step) === weightsAt(step - 1));

test('a step with one NaN in its data changes no weight and is counted, and the run goes on', async () => {
  const data = changed(tinyDataset(24), (latents, { id }) => id === '3' && latents.fill(NaN, 0, 1));
  const loop = await train(options({ data }));
  expect(loop.step).toBe(12);
  expect(loop.skipped).toBeGreaterThan(0);
  expect(loop.skipped).toBeLessThan(6);
  expect(skippedSteps(12).length + Number(skipsFirst())).toBe(loop.skipped);
  expect(lines.at(-1)).toMatch(new RegExp(`skipped ${loop.skipped} `));
  const { parameters } = loadCheckpoint(listCheckpoints(join(folder, 'run')).at(-1) ?? '');
  for (const [name, tensor] of parameters) expect(tensor.toFloat32Array().every(Number.isFinite), name).toBe(true);
});

/** Whether step 1 was left out: no line was written for it. */
const skipsFirst = () => !lines.some((line) => line.startsWith('step       1 '));

test('a gradient of more than spikeFactor times the usual is left out, and the next steps are taken', async () => {
  const gradients: number[] = [];
  await train(options({ out: join(folder, 'all'), onScalars: ({ gradient }) => gradients.push(gradient) }));
  let usual = gradients[0];
  const ratios = gradients.map((gradient) => {
    const ratio = gradient / usual;
    usual += (Math.min(gradient, 2 * usual) - usual) / 50;
    return ratio;
  });
  const largest = Math.max(...ratios);
  const spike = ratios.indexOf(largest) + 1;
  expect(spike).toBeGreaterThan(1);
  const loop = await train(options({ training: { ...TINY_TRAINING, spikeFactor: 0.999 * largest } }));
  expect(skippedSteps(12)[0]).toBe(spike);
  expect(skippedSteps(12)).toHaveLength(loop.skipped);
  expect(loop.step).toBe(12);
});

test('gives up after ten such steps in a row, with a line that says what to do and the last good checkpoint', async () => {
  let isBroken = false;
  const data = changed(tinyDataset(24), (latents) => isBroken && latents.fill(Infinity));
  const broken = options({ data, saveEvery: 4, training: { ...TINY_TRAINING, steps: 40 } });
  const run = train({ ...broken, onLine: (line) => (isBroken ||= line.startsWith('step       6 ')) });
  await expect(run).rejects.toThrow(
    /^train: gradients were not finite, or spikes, for 10 steps up to 16; lower the rate and go on from the last checkpoint$/,
  );
  // Those of steps 8 to 16 hold the weights of step 6.
  const [last] = listCheckpoints(join(folder, 'run')).slice(-1);
  const { parameters, loop } = loadCheckpoint(last);
  expect(loop.skipped).toBeGreaterThan(0);
  for (const tensor of parameters.values()) expect(tensor.toFloat32Array().every(Number.isFinite)).toBe(true);
  isBroken = false;
  expect(await train({ ...broken, training: { ...broken.training, steps: 20 } })).toMatchObject({ step: 20 });
});

test('best points to the checkpoint of the lowest held-out energy and outlives the limit', async () => {
  const training = { ...TINY_TRAINING, steps: 12, emaDecay: 0, warmupSteps: 0, decaySteps: 0, learningRate: 0.02 };
  // From the eighth step on it learns sounds that nobody held out: the energy of those rises again.
  let seen = 0;
  const data = changed(
    tinyDataset(24),
    (latents) => ++seen > 90 && latents.forEach((x, i) => (latents[i] = 3 - 4 * x)),
  );
  await train(options({ data, heldOut: tinyDataset(8, 2), evaluateEvery: 2, saveEvery: 4, keep: 1, training }));
  const energies = lines.filter((line) => line.includes('held out')).map((line) => Number(/energy ([\d.]+)/.exec(line)?.[1])); // prettier-ignore
  expect(energies).toHaveLength(6);
  const best = 2 * (energies.indexOf(Math.min(...energies)) + 1);
  expect(best).toBeLessThan(12);
  const name = `step-${String(best).padStart(8, '0')}`;
  expect(readlinkSync(join(folder, 'run', 'best'))).toBe(name);
  expect(readdirSync(join(folder, 'run'))).toEqual(['best', name, 'step-00000012']);
  expect(loadCheckpoint(join(folder, 'run', 'best')).loop.bestEnergy).toBeCloseTo(Math.min(...energies), 3);
});

test('a signal in the middle of an accumulated step ends after that step, and the run goes on to the same bits', async () => {
  const training = { ...TINY_TRAINING, microBatches: 3 };
  await train(options({ training, saveEvery: 100, out: join(folder, 'whole') }));
  const controller = new AbortController();
  let passes = 0;
  const backward = Tensor.prototype.backward;
  vi.spyOn(Tensor.prototype, 'backward').mockImplementation(function (this: Tensor) {
    backward.call(this);
    if (++passes === 14) controller.abort();
  });
  const stopped = await train(options({ training, saveEvery: 100, signal: controller.signal }));
  expect(stopped.step).toBeLessThan(12);
  expect(listCheckpoints(join(folder, 'run')).map((path) => Number(path.slice(-8)))).toEqual([stopped.step]);
  vi.restoreAllMocks();
  await train(options({ training, saveEvery: 100 }));
  const last = (name: string) => readFileSync(join(folder, name, 'step-00000012', 'weights.safetensors'));
  expect(last('run').equals(last('whole'))).toBe(true);
});

test('says before the first step that the largest batch does not fit, and writes no checkpoint', async () => {
  const data = tinyDataset(24);
  const backward = Tensor.prototype.backward;
  vi.spyOn(Tensor.prototype, 'backward').mockImplementation(function (this: Tensor) {
    backward.call(this);
    zeros([2 ** 45]); // 128 TiB, which no machine has
  });
  await expect(train(options({ data }))).rejects.toThrow(
    /^train: the largest batch, \d+ utterances of up to \d+ frames, cannot be computed: .*can't allocate memory.*; lower maxSecondsPerBatch or raise microBatches$/,
  );
  expect(listCheckpoints(join(folder, 'run'))).toEqual([]);
  vi.restoreAllMocks();
  // What was tried leaves no trace: the run is that of a process that tried nothing else.
  await train(options({ data }));
  await train(options({ data, out: join(folder, 'other') }));
  expect(readFileSync(join(folder, 'other', 'step-00000012', 'weights.safetensors')).toString('base64')).toBe(weightsAt(12)); // prettier-ignore
});

test('a dry run writes nothing at all', async () => {
  await train(options({ dryRun: true }));
  expect(existsSync(join(folder, 'run'))).toBe(false);
  expect(lines.map((line) => line.slice(0, 11).trim())).toEqual(['model', 'data', 'processes', 'largest', 'estimate']);
});
