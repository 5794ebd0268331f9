import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasCuda, manualSeed, randn, setNumThreads, type Device } from '@sled-tts/torch';
import { layOutBatch } from '../../../src/train/batch-layout.js';
import { toTensors } from '../../../src/train/batch.js';
import { listCheckpoints, loadCheckpoint } from '../../../src/train/checkpoint.js';
import { losses } from '../../../src/train/loss.js';
import { drawNoise } from '../../../src/train/noise.js';
import { newRun } from '../../../src/train/run.js';
import { layOutStep } from '../../../src/train/step-layout.js';
import { trainStep } from '../../../src/train/step.js';
import { train } from '../../../src/train/train.js';
import type { TrainingConfig } from '../../../src/train/training-config.js';
import { deviceOfRank } from '../../../src/cli/rank-environment.js';
import { TINY_MODEL, TINY_TRAINING, tinyDataset } from './tiny.js';
import { startTraining, writeTinyRun } from './tiny-run.js';

setNumThreads(1); // tiny products: threads would only wait for each other

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'device-'))));
afterEach(() => rmSync(folder, { recursive: true }));

// Dropout's masks are each device's own.
const model = { ...TINY_MODEL, dropout: 0, guidanceDropout: 0 };
const options = { data: tinyDataset(12), frameRate: 1, model, threads: 1, logEvery: 1 };

test('cuda is the GPU of the number that a process has on its machine', () => {
  expect(deviceOfRank('cpu', { LOCAL_RANK: '2' })).toBe('cpu');
  expect(deviceOfRank('cuda:1', { LOCAL_RANK: '2' })).toBe('cuda:1');
  expect(deviceOfRank('cuda', {})).toBe('cuda:0');
  for (const name of ['LOCAL_RANK', 'SLURM_LOCALID', 'OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID'])
    expect(deviceOfRank('cuda', { [name]: '2' })).toBe('cuda:2');
});

test('a device that is not there is refused by one line before anything is written', async () => {
  await expect(train({ ...options, out: join(folder, 'run'), training: TINY_TRAINING, device: 'gpu' })).rejects.toThrow(
    "device: expected cpu, cuda or cuda:N, got 'gpu'",
  );
  writeTinyRun(folder, {});
  const { code, errors } = await startTraining(folder, ['--out', join(folder, 'run'), '--device', 'cuda:99']).ended;
  expect(code).toBe(1);
  expect(errors).toMatch(/^sled-tts: device cuda:99: [^\n]*\n$/);
  expect(() => listCheckpoints(join(folder, 'run'))).toThrow(/ENOENT/);
});

/** Runs until it has logged so many lines, or to the end. */
async function runOn(out: string, device: Device, training: TrainingConfig, stopAfter = Infinity): Promise<string> {
  const controller = new AbortController();
  const onLine = () => void (--stopAfter === 0 && controller.abort());
  await train({ ...options, out, training, device, signal: controller.signal, onLine });
  return listCheckpoints(out).at(-1)!;
}

// Without a GPU there is nothing to test, and nothing that passes.
if (hasCuda())
  describe('on cuda:0', () => {
    test('losses and gradients of the tiny network are those of the CPU', () => {
      const [here, there] = (['cpu', 'cuda:0'] as const).map((device) => {
        const { model: network } = newRun(model, TINY_TRAINING, device);
        const data = tinyDataset(6);
        const samples = [0, 1, 2, 3, 4, 5].map((i) => data.sample(i));
        const batch = toTensors(layOutBatch(samples, samples.map(() => false), model), model, device); // prettier-ignore
        const noise = drawNoise([0, 1, 2, 3, 4, 5], samples.map(({ frames }) => frames), { seed: 1, step: 0, latentNoise: 0.1, noiseDim: model.noiseDim, latentDim: model.latentDim, device }); // prettier-ignore
        // The energy head's modulations begin at zero: nothing below them would have a gradient. Were they all alike, it would be nothing but
        // rounding, since a norm's results add up to zero.
        manualSeed(1);
        for (const [name, tensor] of network.parameters)
          if (/odulation|energyHead\.output\./.test(name))
            tensor.detach().add_(randn(tensor.shape).mul(0.1).to(device));
        const { total, energy, end, alignment } = losses(network, batch, {
          ...TINY_TRAINING,
          ...noise,
          training: true,
        });
        total.backward();
        const values = [total, energy, end, alignment!].map((x) => x.item());
        return { values, gradients: new Map([...network.parameters].map(([name, { grad }]) => [name, grad!.toFloat32Array()])) }; // prettier-ignore
      });
      there.values.forEach((value, i) => expect(value).toBeCloseTo(here.values[i], 4));
      for (const [name, expected] of here.gradients) {
        const size = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const found = there.gradients.get(name)!;
        const error = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - found[i])), 0);
        expect(size, name).toBeGreaterThan(0);
        expect(error / size, name).toBeLessThan(1e-4);
      }
    });

    test.each([
      ['f32', 0, 1e-3],
      ['f32', 1e-3, 0.03], // Muon's iterations are in bfloat16
      ['bf16', 0, 0.05],
      ['pure-bf16', 0, 0.15], // rounded by other random bits
    ] as const)(
      '20 steps in %s, matrices at %f, lose what the CPU loses',
      (precision, matrixLearningRate, tolerance) => {
        const wide = { ...model, width: 48, ffnWidth: 64, headWidth: 48 };
        const training = { ...TINY_TRAINING, steps: 20, precision, matrixLearningRate };
        const [here, there] = (['cpu', 'cuda:0'] as const).map((device) => {
          const run = newRun(wide, training, device);
          const data = tinyDataset(6);
          const ranks = {
            rank: 0,
            size: 1,
            sum: (values: readonly number[]) => [...values],
            gradients: null,
            leave() {},
          };
          return Array.from({ length: 20 }, (_, step) => {
            const laidOut = layOutStep(data, { step, indices: [0, 1, 2, 3, 4, 5] }, { ...training, model: wide, rank: 0, size: 1 }); // prettier-ignore
            const { energy, skipped } = trainStep(run, { laidOut, waited: 0, training, ranks })!;
            expect(skipped).toBe(false);
            run.loop.step++;
            return energy;
          });
        });
        expect(here[19]).toBeLessThan(0.9 * here[0]);
        here.forEach((energy, i) => expect(Math.abs(there[i] - energy) / energy, `step ${i}`).toBeLessThan(tolerance));
      },
    );

    test('a run of one device goes on on the other, and holds what an uninterrupted one does', async () => {
      const training = { ...TINY_TRAINING, steps: 8, matrixLearningRate: 0 };
      const whole = await runOn(join(folder, 'whole'), 'cpu', training);
      const begun = await runOn(join(folder, 'begun-there'), 'cuda:0', training, 4);
      expect(begun).toMatch(/step-00000004$/);
      cpSync(join(folder, 'begun-there'), join(folder, 'copy'), { recursive: true });
      await runOn(join(folder, 'begun-here'), 'cpu', training, 4);
      const ends = [
        await runOn(join(folder, 'begun-there'), 'cuda:0', training),
        await runOn(join(folder, 'copy'), 'cpu', training),
        await runOn(join(folder, 'begun-here'), 'cuda:0', training),
      ];
      const expected = loadCheckpoint(whole);
      for (const end of ends) {
        const { loop, parameters } = loadCheckpoint(end);
        expect({ ...loop, seconds: 0, usualGradient: 0 }).toEqual({ ...expected.loop, seconds: 0, usualGradient: 0 });
        for (const [name, tensor] of parameters) {
          const difference = tensor.sub(expected.parameters.get(name)!).abs().max().item();
          expect(difference, `${end} ${name}`).toBeLessThan(2e-3); // of steps of up to 5e-3 each
        }
      }
    });
  });
