import { autocast, noGrad } from '@sled-tts/torch';
import type { Parameters } from './parameters.js';
import type { Precision } from './training-config.js';

/** Runs a forward pass as the precision says. */
export function computeIn<T>(precision: Precision, compute: () => T): T {
  return precision === 'f32' ? compute() : autocast('bfloat16', compute);
}

/** float32 parameters as the precision keeps them. */
export function storedIn(precision: Precision, parameters: Parameters): Parameters {
  if (precision !== 'pure-bf16') return parameters;
  return noGrad(
    () => new Map([...parameters].map(([name, tensor]) => [name, tensor.detach().to('bfloat16').requiresGrad_()])),
  );
}
