import { join } from 'node:path';
import { expect } from 'vitest';
import { tensor, type Tensor } from '@sled-tts/torch';
import { parameterTable } from '../../../src/model/checkpoint.js';
import { parseConfig, type SledConfig } from '../../../src/model/config.js';
import { readSafetensors, toFloat32, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { makeBatch } from '../../../src/train/batch.js';
import { losses, type LossOptions } from '../../../src/train/loss.js';
import type { Sled } from '../../../src/train/network.js';
import { loadParameters, type Parameters } from '../../../src/train/parameters.js';
import type { Sample } from '../../../src/data/sample.js';
import { hashWeights } from '../../golden/hash-weights.js';
import json from '../../golden/training/config.json' with { type: 'json' };

export const folder = join(import.meta.dirname, '../../golden/training');
const OPTIONS: LossOptions = {
  endPositiveWeight: 100,
  alignmentWeight: 0,
  guidedHeads: [],
  training: false,
};

export const interleaved = parseConfig(json, 'golden config');
export const offline: SledConfig = { ...interleaved, textPerTurn: Infinity, framesPerTurn: Infinity };

/** A golden file as arrays and as samples without their padding. */
export class Golden {
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

export function hashedParameters(config: SledConfig): Parameters {
  const arrays = parameterTable(config).map(({ released, shape }) => {
    const values = hashWeights(released, shape);
    return [released, { dtype: 'F32' as const, shape, bytes: new Uint8Array(values.buffer) }] as const;
  });
  return loadParameters(config, new Map(arrays));
}

export function lossesOf(golden: Golden, model: Sled, step = 0) {
  const dropped = golden.samples.map(() => golden.arrays.has('dropped') && golden.ints('dropped')[0] === 1);
  const batch = makeBatch(golden.samples, dropped, model.config);
  const noise = ['noise_a', 'noise_b'].map((name) => golden.noise(name, model.config, step)) as [Tensor, Tensor];
  return losses(model, batch, { ...OPTIONS, noise });
}

export function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  expect(actual.length, what).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs), 1e-6);
  const worst = Math.max(...actual.map((x, i) => Math.abs(x - expected[i])));
  expect(worst / scale, `${what}: largest difference ${worst} beside values up to ${scale}`).toBeLessThan(tolerance);
}
