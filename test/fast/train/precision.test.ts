import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setNumThreads } from '@sled-tts/torch';
import { readSafetensors } from '../../../src/model/safetensors.js';
import { listCheckpoints, loadModel } from '../../../src/train/checkpoint.js';
import { newRun } from '../../../src/train/run.js';
import { layOutStep } from '../../../src/train/step-layout.js';
import { trainStep } from '../../../src/train/step.js';
import { train } from '../../../src/train/train.js';
import { parseTrainingConfig, type Precision, type TrainingConfig } from '../../../src/train/training-config.js';
import { TINY_MODEL, TINY_TRAINING, tinyDataset } from './tiny.js';

setNumThreads(1); // tiny products: threads would only wait for each other

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'precision-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const ranks = { rank: 0, size: 1, sum: (values: readonly number[]) => [...values], gradients: null, leave() {} };
// wide enough for Muon to take some matrices
const model = { ...TINY_MODEL, width: 48, ffnWidth: 64, headWidth: 48, dropout: 0.1, attentionDropout: 0.1 };

/** Energies of so many steps on one batch of six utterances. */
function energies(training: TrainingConfig, steps: number): number[] {
  const run = newRun({ ...TINY_MODEL, dropout: 0, guidanceDropout: 0 }, training);
  const data = tinyDataset(6);
  const options = { ...training, model: run.model.config, rank: 0, size: 1 };
  return Array.from({ length: steps }, (_, step) => {
    const laidOut = layOutStep(data, { step, indices: [0, 1, 2, 3, 4, 5] }, options);
    const { energy } = trainStep(run, { laidOut, waited: 0, training, ranks })!;
    run.loop.step++;
    return energy;
  });
}

test('a tiny model overfits one batch in pure bfloat16 as it does in float32', () => {
  const training = { ...TINY_TRAINING, steps: 1000, warmupSteps: 1, learningRate: 2e-2, latentNoise: 0, alignmentWeight: 0, emaDecay: 0 }; // prettier-ignore
  const [full, pure] = (['f32', 'pure-bf16'] as const).map((precision) => {
    const course = energies({ ...training, precision }, 80);
    return course.slice(-10).reduce((sum, x) => sum + x) / 10 / course[0];
  });
  expect(full).toBeLessThan(0.3); // 0.16
  expect(pure).toBeLessThan(0.3); // 0.14
}, 60_000);

test('keeps weights and moments in bfloat16, in half of the memory, and the average in float32', () => {
  const bytes = (precision: Precision) => {
    const run = newRun(model, { ...TINY_TRAINING, precision, matrixLearningRate: 1e-3 });
    const kept = [...run.model.parameters.values(), ...run.optimizer.state().values()].filter(({ numel }) => numel > 1);
    const types = new Set(kept.map(({ dtype }) => dtype));
    const averages = new Set([...run.average!.parameters.values()].map(({ dtype }) => dtype));
    return { types: [...types], averages: [...averages], numbers: kept.reduce((sum, { numel }) => sum + numel, 0) };
  };
  const [full, pure] = [bytes('bf16'), bytes('pure-bf16')];
  expect(full).toMatchObject({ types: ['float32'], averages: ['float32'] });
  expect(pure).toEqual({ types: ['bfloat16'], averages: ['float32'], numbers: full.numbers });
});

test('resumes to the same bits in pure bfloat16, and writes what loads as it was', async () => {
  const training = { ...TINY_TRAINING, precision: 'pure-bf16' as const, matrixLearningRate: 1e-3, emaDecay: 0 };
  const run = async (name: string, stopAfter = Infinity) => {
    const controller = new AbortController();
    const onLine = () => void (--stopAfter === 0 && controller.abort());
    const options = { data: tinyDataset(12), frameRate: 1, out: join(folder, name), model, threads: 1, logEvery: 1 };
    await train({ ...options, training: { ...training, steps: 6 }, signal: controller.signal, onLine });
    return listCheckpoints(join(folder, name)).at(-1)!;
  };
  const whole = await run('whole');
  expect(await run('parts', 3)).toMatch(/step-00000003$/);
  const parts = await run('parts');
  for (const file of ['model.safetensors', 'optimizer.safetensors'])
    expect(readFileSync(join(parts, file)).equals(readFileSync(join(whole, file))), file).toBe(true);

  const { tensors } = readSafetensors(join(whole, 'model.safetensors'));
  expect([...new Set([...tensors.values()].map(({ dtype }) => dtype))]).toEqual(['BF16']);
  const weights = loadModel(whole).parameters.get('layers.0.attention.query.weight')!;
  expect(weights.dtype).toBe('float32');
  expect([...weights.to('bfloat16').toFloat32Array()]).toEqual([...weights.toFloat32Array()]);
});

test('names the precisions that there are', () => {
  expect(parseTrainingConfig({ precision: 'pure-bf16' }).precision).toBe('pure-bf16');
  expect(() => parseTrainingConfig({ precision: 'fp8' })).toThrow(/expected one of f32, bf16, pure-bf16, got fp8/);
});
