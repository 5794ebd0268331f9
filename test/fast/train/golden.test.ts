import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clipGradNorm, scope, setNumThreads } from '@sled-tts/torch';
import { parameterTable } from '../../../src/model/checkpoint.js';
import type { SledConfig } from '../../../src/model/config.js';
import { readSafetensors } from '../../../src/model/safetensors.js';
import { makeBatch } from '../../../src/train/batch.js';
import { Sled } from '../../../src/train/network.js';
import { Optimizer } from '../../../src/train/optimizer.js';
import { loadParameters } from '../../../src/train/parameters.js';
import { DEFAULT_TRAINING } from '../../../src/train/training-config.js';
import { expectClose, folder, Golden, hashedParameters, interleaved, lossesOf, offline } from './golden-training.js';

setNumThreads(1); // tiny products: threads would only wait for each other

// Not interleaved-dropped: released positions count masked text slots there; ours are those of generation.
const CASES: [string, SledConfig][] = [
  ['offline-one', offline],
  ['offline-two', offline],
  ['interleaved-one', interleaved],
  ['interleaved-two', interleaved],
  ['offline-uneven', offline],
  ['offline-dropped', offline],
  ['interleaved-short', interleaved],
];

test.each(CASES)('computes the released losses and every gradient: %s', (name, config) => {
  const golden = new Golden(name);
  const model = new Sled(hashedParameters(config), config);
  const { energy, end, total } = lossesOf(golden, model);
  // float32 sums in another order: 1e-5 of the value
  expectClose(energy.toFloat32Array(), golden.floats('energy'), 1e-5, 'energy');
  expectClose(end.toFloat32Array(), golden.floats('eos'), 1e-5, 'end of speech');
  total.backward();
  for (const { name: ours, released } of parameterTable(config)) {
    if (!golden.arrays.has(`grad.${released}`)) continue;
    expectClose(model.parameters.get(ours)!.grad!.toFloat32Array(), golden.floats(`grad.${released}`), 1e-4, released);
  }
});

test('computes the released hidden states at every position', () => {
  for (const [name, config] of CASES.slice(0, 4)) {
    const golden = new Golden(name);
    const model = new Sled(hashedParameters(config), config);
    const batch = makeBatch(golden.samples, golden.samples.map(() => false), config); // prettier-ignore
    expectClose(model.trunk(batch).toFloat32Array(), golden.floats('hidden'), 1e-5, name);
  }
});

test('has finite gradients at the released initial values', () => {
  const golden = new Golden('initial');
  const { tensors } = readSafetensors(join(folder, 'initial-parameters.safetensors'));
  const model = new Sled(loadParameters(offline, tensors), offline);
  const { total } = lossesOf(golden, model);
  expectClose(total.toFloat32Array(), golden.floats('total'), 1e-5, 'total');
  total.backward();
  for (const { name: ours, released } of parameterTable(offline)) {
    const gradient = model.parameters.get(ours)!.grad!.toFloat32Array();
    expect(gradient.every(Number.isFinite), ours).toBe(true);
    expectClose(gradient, golden.floats(`grad.${released}`), 1e-4, released);
  }
});

test('makes the same ten AdamW updates', () => {
  const golden = new Golden('adamw');
  const model = new Sled(hashedParameters(offline), offline);
  const before = new Map([...model.parameters].map(([name, parameter]) => [name, parameter.toFloat32Array()]));
  const optimizer = new Optimizer(model.parameters, { ...DEFAULT_TRAINING, clip: 1 });
  for (let step = 0; step < 10; step++) {
    scope(() => {
      const { total } = lossesOf(golden, model, step);
      expect(total.item() / golden.floats('losses')[step]).toBeCloseTo(1, 4);
      total.backward();
      expect(clipGradNorm([...model.parameters.values()], 1) / golden.floats('norms')[step]).toBeCloseTo(1, 3);
      optimizer.step(1, step);
      optimizer.zeroGrad();
    });
  }
  for (const { name, released } of parameterTable(offline)) {
    const after = model.parameters.get(name)!.toFloat32Array();
    // Adam divides by the gradient's own size, so rounding of tiny gradients shows: 2 % of the largest update
    expectClose(after.map((x, i) => x - before.get(name)![i]), golden.floats(`update.${released}`), 0.02, released); // prettier-ignore
  }
});
