import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clipGradNorm, scope, setNumThreads, tensor, type Tensor } from '@sled-tts/torch';
import { parameterTable } from '../../../src/model/checkpoint.js';
import { parseConfig, type SledConfig } from '../../../src/model/config.js';
import { readSafetensors, toFloat32, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { makeBatch } from '../../../src/train/batch.js';
import { losses, type LossOptions } from '../../../src/train/loss.js';
import { Sled } from '../../../src/train/network.js';
import { Optimizer } from '../../../src/train/optimizer.js';
import { loadParameters, type Parameters } from '../../../src/train/parameters.js';
import { DEFAULT_TRAINING } from '../../../src/train/training-config.js';
import type { Sample } from '../../../src/data/sample.js';
import { hashWeights } from '../../golden/hash-weights.js';
import json from '../../golden/training/config.json' with { type: 'json' };

setNumThreads(1); // tiny products: threads would only wait for each other
const folder = join(import.meta.dirname, '../../golden/training');
const OPTIONS: LossOptions = {
  endPositiveWeight: 100,
  latentNoise: 0,
  alignmentWeight: 0,
  guidedHeads: [],
  training: false,
};

const interleaved = parseConfig(json, 'golden config');
const offline: SledConfig = { ...interleaved, textPerTurn: Infinity, framesPerTurn: Infinity };

/** A golden file as arrays and as samples without their padding. */
class Golden {
  readonly arrays: Map<string, SafetensorsArray>;
  readonly samples: Sample[];

  constructor(name: string) {
    this.arrays = readSafetensors(join(folder, `${name}.safetensors`)).tensors;
    const ids = this.ints('input_ids');
    const [textMask, frameMask] = [this.ints('text_mask'), this.ints('frame_mask')];
    const [B, L] = this.arrays.get('input_ids')!.shape;
    const [, T, D] = this.arrays.get('latents')!.shape;
    const latents = this.floats('latents');
    this.samples = Array.from({ length: B }, (_, b) => ({
      id: String(b),
      text: '',
      tokens: ids.subarray(b * L, (b + 1) * L).filter((_, i) => textMask[b * L + i] === 1),
      frames: frameMask.subarray(b * T, (b + 1) * T).reduce((sum, x) => sum + x, 0),
      copyLatents(out: Float32Array, offset: number) {
        out.set(latents.subarray(b * T * D, (b * T + this.frames) * D), offset);
      },
      spoken: null,
    }));
  }

  floats(name: string): Float32Array {
    return toFloat32(this.arrays.get(name)!);
  }

  ints(name: string): Int32Array {
    const { bytes } = this.arrays.get(name)!;
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** The noise of real frames: the released code draws it for padded slots too. */
  noise(name: string, config: SledConfig, step = 0): Tensor {
    const N = config.noiseDim;
    const frameMask = this.ints('frame_mask');
    const slots = frameMask.length;
    const all = this.floats(name).subarray(step * slots * N, (step + 1) * slots * N);
    const rows = [...frameMask.keys()].filter((slot) => frameMask[slot] === 1);
    return tensor(Float32Array.from(rows.flatMap((slot) => [...all.subarray(slot * N, (slot + 1) * N)])), [
      rows.length,
      N,
    ]);
  }
}

function hashedParameters(config: SledConfig): Parameters {
  const arrays = parameterTable(config).map(({ released, shape }) => {
    const values = hashWeights(released, shape);
    return [released, { dtype: 'F32' as const, shape, bytes: new Uint8Array(values.buffer) }] as const;
  });
  return loadParameters(config, new Map(arrays));
}

function lossesOf(golden: Golden, model: Sled, step = 0) {
  const dropped = golden.samples.map(() => golden.arrays.has('dropped') && golden.ints('dropped')[0] === 1);
  const batch = makeBatch(golden.samples, dropped, model.config);
  const noise = ['noise_a', 'noise_b'].map((name) => golden.noise(name, model.config, step)) as [Tensor, Tensor];
  return losses(model, batch, { ...OPTIONS, noise });
}

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  expect(actual.length, what).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs), 1e-6);
  const worst = Math.max(...actual.map((x, i) => Math.abs(x - expected[i])));
  expect(worst / scale, `${what}: largest difference ${worst} beside values up to ${scale}`).toBeLessThan(tolerance);
}

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
      optimizer.step(1);
      optimizer.zeroGrad();
    });
  }
  for (const { name, released } of parameterTable(offline)) {
    const after = model.parameters.get(name)!.toFloat32Array();
    // Adam divides by the gradient's own size, so rounding of tiny gradients shows: 2 % of the largest update
    expectClose(after.map((x, i) => x - before.get(name)![i]), golden.floats(`update.${released}`), 0.02, released); // prettier-ignore
  }
});
