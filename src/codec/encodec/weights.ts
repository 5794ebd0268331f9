import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../model/errors.js';
import { readSafetensors, readSafetensorsAsync, toFloat32, type SafetensorsArray } from '../../model/safetensors.js';
import { codebooksOf, parseEncodecConfig, type EncodecConfig } from './config.js';
import { convolutionsOf, decoderLayers, encoderLayers, type Layer } from './layers.js';

/** Float32 arrays by Hugging Face's names, weight norm folded: a convolution has `weight` and `bias`. */
export type EncodecWeights = ReadonlyMap<string, Float32Array>;

export interface EncodecFiles {
  readonly config: EncodecConfig;
  readonly weights: EncodecWeights;
}

/** Name and shape of every weight, weight norm folded. */
export function weightShapes(config: EncodecConfig): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const layers of [encoderLayers(config), decoderLayers(config)]) {
    convolutionShapes(layers, shapes);
    for (const layer of layers) {
      if (layer.kind !== 'lstm') continue;
      const { name, width } = layer;
      for (let i = 0; i < layer.layers; i++) {
        for (const part of ['ih', 'hh']) {
          shapes.set(`${name}.weight_${part}_l${i}`, [4 * width, width]);
          shapes.set(`${name}.bias_${part}_l${i}`, [4 * width]);
        }
      }
    }
  }
  for (let i = 0; i < codebooksOf(config); i++) shapes.set(codebookName(i), [config.codebookSize, config.latentDim]);
  return shapes;
}

/** Name of codebook i, [codebookSize, D]. */
export const codebookName = (index: number): string => `quantizer.layers.${index}.codebook.embed`;

function convolutionShapes(layers: readonly Layer[], shapes: Map<string, number[]>): void {
  for (const layer of convolutionsOf(layers)) {
    const { name, inputs, outputs } = layer;
    const shape = layer.kind === 'convolution' ? [outputs, inputs, layer.kernel] : [inputs, outputs, 2 * layer.stride];
    shapes.set(`${name}.weight`, shape);
    shapes.set(`${name}.bias`, [outputs]);
  }
}

/** What training of the codebooks keeps beside them. */
const UNUSED = /^quantizer\.layers\.\d+\.codebook\.(inited|cluster_size|embed_avg)$/;
const NORMED = /\.conv\.weight$/;
/** Magnitudes [n, 1, 1] and directions, in torch's two spellings. */
const NORM_SUFFIXES = [
  ['weight_g', 'weight_v'],
  ['parametrizations.weight.original0', 'parametrizations.weight.original1'],
] as const;

/**
 * Reads a directory in Hugging Face's layout.
 *
 * @throws {CheckpointError} listing all that is missing, unknown or mis-shaped, or that the config asks for in vain.
 */
export function readEncodecFiles(directory: string): EncodecFiles {
  const config = readConfig(join(directory, 'config.json'));
  const path = join(directory, 'model.safetensors');
  return { config, weights: foldWeights(config, readSafetensors(path).tensors, path) };
}

/** readEncodecFiles() that reads beside other work. */
export async function readEncodecFilesAsync(directory: string): Promise<EncodecFiles> {
  const config = readConfig(join(directory, 'config.json'));
  const path = join(directory, 'model.safetensors');
  return { config, weights: foldWeights(config, (await readSafetensorsAsync(path)).tensors, path) };
}

function readConfig(path: string): EncodecConfig {
  try {
    return parseEncodecConfig(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new CheckpointError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** A checkpoint's arrays, checked against the config, with magnitude and direction multiplied out. */
export function foldWeights(
  config: EncodecConfig,
  tensors: ReadonlyMap<string, SafetensorsArray>,
  path: string,
): EncodecWeights {
  const faults: string[] = [];
  const used = new Set<string>();
  const weights = new Map<string, Float32Array>();
  const take = (name: string, shape: readonly number[]): Float32Array | undefined => {
    used.add(name);
    const tensor = tensors.get(name);
    if (!tensor) faults.push(`${name} is missing`);
    else if (tensor.shape.join() !== shape.join()) faults.push(`${name} is [${tensor.shape}], expected [${shape}]`);
    else if (!['F64', 'F32', 'F16', 'BF16'].includes(tensor.dtype))
      faults.push(`${name} is ${tensor.dtype}, expected a float`); // prettier-ignore
    else return toFloat32(tensor);
    return undefined;
  };
  for (const [name, shape] of weightShapes(config)) {
    const [magnitude, direction] = normNames(name, tensors);
    if (magnitude === undefined || direction === undefined) {
      const values = take(name, shape);
      if (values) weights.set(name, values);
      continue;
    }
    const g = take(magnitude, [shape[0], 1, 1]);
    const v = take(direction, shape);
    if (g && v) weights.set(name, multipliedOut(g, v));
  }
  for (const name of tensors.keys()) if (!used.has(name) && !UNUSED.test(name)) faults.push(`${name} is unknown`);
  if (faults.length > 0) throw new CheckpointError(`${path}: does not fit its config.json: ${faults.join('; ')}`);
  return weights;
}

/** Names of a convolution's magnitude and direction, if the file has either. */
function normNames(name: string, tensors: ReadonlyMap<string, unknown>): readonly string[] {
  if (!NORMED.test(name)) return [];
  const spellings = NORM_SUFFIXES.map((pair) => pair.map((suffix) => name.replace(/weight$/, suffix)));
  return spellings.find((pair) => pair.some((spelling) => tensors.has(spelling))) ?? [];
}

// w = g * v / |v|, the norm over all dimensions but the first
function multipliedOut(g: Float32Array, v: Float32Array): Float32Array {
  const row = v.length / g.length;
  const w = new Float32Array(v.length);
  for (let n = 0; n < g.length; n++) {
    let squares = 0;
    for (let i = n * row; i < (n + 1) * row; i++) squares += v[i] * v[i];
    const factor = g[n] / Math.sqrt(squares);
    for (let i = n * row; i < (n + 1) * row; i++) w[i] = v[i] * factor;
  }
  return w;
}
