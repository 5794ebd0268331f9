import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { noGrad, op, scope, type Tensor } from '@sled-tts/torch';
import { CheckpointError } from '../model/errors.js';
import { writeSafetensors } from '../model/safetensors.js';
import { loadModel } from './checkpoint.js';
import { exportParameters } from './parameters.js';

/** Two models of one shape, the second fine-tuned from the first. */
export interface Blend {
  /** Model folder that training began with. */
  base: string;
  /** Model folder that training left. */
  tuned: string;
  /** Of what training changed in a parameter (by our name), the share that is kept, from 0 to 1. */
  shareOf: (name: string) => number;
}

const lerp = op('aten::lerp', 'Scalar') as (from: Tensor, to: Tensor, share: number) => Tensor;

/**
 * Writes a model folder whose weights lie between two: base + share * (tuned - base). Fine-tuning forgets what the base
 * knew and the new data did not ask for; part of the way back, most of it is there again.
 * @throws {CheckpointError} when they are not of one shape
 */
export function blendModels(out: string, { base, tuned, shareOf }: Blend): void {
  scope(() => {
    const begun = loadModel(base).parameters;
    const { config, parameters } = loadModel(tuned);
    const blended = [...parameters].map(([name, after]) => {
      const before = begun.get(name);
      if (String(before?.shape) !== String(after.shape))
        throw new CheckpointError(`${tuned}: ${name} is [${after.shape}], but [${before?.shape ?? ''}] in ${base}`);
      return [name, noGrad(() => lerp(before!, after, shareOf(name)))] as const;
    });
    mkdirSync(out, { recursive: true });
    copyFileSync(join(tuned, 'config.json'), join(out, 'config.json'));
    const tensors = exportParameters(config, new Map(blended));
    writeSafetensors(join(out, 'model.safetensors'), tensors, { format: 'pt' });
  });
}
