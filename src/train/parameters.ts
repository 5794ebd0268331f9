import { init, ones, tensor, zeros, type Tensor } from '@sled-tts/torch';
import { checkShapes, isIgnoredName, parameterTable } from '../model/checkpoint.js';
import { CheckpointError } from '../model/errors.js';
import { fromFloat32, toFloat32, type SafetensorsArray } from '../model/safetensors.js';
import type { SledConfig } from '../model/config.js';

/** The network's parameters by our names (`parameterTable`), float32 or bfloat16, requiring gradients. */
export type Parameters = Map<string, Tensor>;

/** Parameters below a prefix: `at('layers.0').tensor('attention.query.weight')`. */
export class ParameterScope {
  constructor(
    private readonly parameters: Parameters,
    private readonly prefix = '',
  ) {}

  at(name: string): ParameterScope {
    return new ParameterScope(this.parameters, `${this.prefix}${name}.`);
  }

  /** @throws {CheckpointError} when there is no such parameter. */
  tensor(name: string): Tensor {
    const found = this.parameters.get(this.prefix + name);
    if (!found) throw new CheckpointError(`no parameter named ${this.prefix}${name}`);
    return found;
  }
}

/** `released`: N(0, 0.02) in the trunk, as the paper's code does; `xavier`: Xavier-uniform there too. */
export type TrunkInit = 'released' | 'xavier';

/**
 * Fresh parameters, drawn from the current generator: trunk matrices and token embedding by `trunk`; Xavier-uniform
 * with zero bias for the projections and the energy head; the head's modulations and last Linear zero; norms 1 and 0.
 */
export function initialParameters(config: SledConfig, trunk: TrunkInit = 'released'): Parameters {
  const parameters: Parameters = new Map();
  for (const { name, shape } of parameterTable(config))
    parameters.set(name, initialValue(name, shape, trunk).requiresGrad_());
  return parameters;
}

function initialValue(name: string, shape: number[], trunk: TrunkInit): Tensor {
  if (/[nN]orm\.weight$/.test(name)) return ones(shape);
  if (name.endsWith('.bias') || /^energyHead\.(.*[mM]odulation|output)\.weight$/.test(name)) return zeros(shape);
  const value = zeros(shape);
  const inTrunk = name.startsWith('layers.');
  if (name === 'textEmbedding.weight' || (inTrunk && trunk === 'released')) init.normal_(value, 0, 0.02);
  else init.xavierUniform_(value);
  return value;
}

/**
 * Parameters from a checkpoint in the released layout.
 * @throws {CheckpointError} listing every missing, extra and mis-shaped name.
 */
export function loadParameters(
  config: SledConfig,
  file: ReadonlyMap<string, SafetensorsArray>,
  source = 'model.safetensors',
): Parameters {
  const problems = checkShapes(config, new Map([...file].map(([name, { shape }]) => [name, shape])));
  if (problems.length > 0) throw new CheckpointError(`${source}: ${problems.join('; ')}`);
  const names = new Map(parameterTable(config).map(({ name, released }) => [released, name]));
  const parameters: Parameters = new Map();
  for (const [released, array] of file) {
    if (isIgnoredName(released)) continue;
    parameters.set(names.get(released)!, tensor(toFloat32(array), array.shape).requiresGrad_());
  }
  return parameters;
}

/** The parameters in the released layout and in the type that they have, ready for `writeSafetensors`. */
export function exportParameters(config: SledConfig, parameters: Parameters): Map<string, SafetensorsArray> {
  return new Map(parameterTable(config).map(({ name, released }) => [released, arrayOf(parameters.get(name)!)]));
}

/** A float32 or bfloat16 tensor in its type, bit by bit. */
export function arrayOf(values: Tensor): SafetensorsArray {
  const dtype = values.dtype === 'bfloat16' ? 'BF16' : 'F32';
  return fromFloat32(values.toFloat32Array(), [...values.shape], dtype);
}
