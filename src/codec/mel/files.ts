import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../model/errors.js';
import {
  fromFloat32,
  readSafetensors,
  readSafetensorsAsync,
  toFloat32,
  writeSafetensors,
  writeWhole,
  type SafetensorsArray,
} from '../../model/safetensors.js';
import type { LinearMap } from './analysis.js';
import { parseMelCodecConfig, type MelCodecConfig } from './config.js';
import { analysisShapes, decoderShapes, type WeightArray } from './decoder-weights.js';

/** Mean and standard deviation of every latent channel over the data the analysis was fitted on. */
export interface LatentStatistics {
  /** [D] */
  readonly mean: Float32Array;
  /** [D] */
  readonly std: Float32Array;
}

/** What `config.json` and `model.safetensors` of a mel codec hold. */
export interface MelCodecFiles {
  readonly config: MelCodecConfig;
  readonly map: LinearMap;
  readonly statistics: LatentStatistics;
  /** By the names of {@link decoderShapes}; absent while only the analysis is fitted. */
  readonly decoder?: ReadonlyMap<string, WeightArray>;
}

const DECODER_PREFIX = 'decoder.';

/**
 * Reads a mel codec's directory.
 *
 * @throws {CheckpointError} naming every missing, unknown and mis-shaped tensor, or what is wrong with the config.
 */
export function readMelCodecFiles(directory: string): MelCodecFiles {
  const path = join(directory, 'model.safetensors');
  return melCodecFilesOf(readConfig(join(directory, 'config.json')), readSafetensors(path).tensors, path);
}

/** readMelCodecFiles() that reads beside other work. */
export async function readMelCodecFilesAsync(directory: string): Promise<MelCodecFiles> {
  const path = join(directory, 'model.safetensors');
  const config = readConfig(join(directory, 'config.json'));
  return melCodecFilesOf(config, (await readSafetensorsAsync(path)).tensors, path);
}

/** @throws {CheckpointError} naming every missing, unknown and mis-shaped tensor. */
export function melCodecFilesOf(
  config: MelCodecConfig,
  tensors: ReadonlyMap<string, SafetensorsArray>,
  path: string,
): MelCodecFiles {
  const expected = analysisShapes(config);
  const hasDecoder = [...tensors.keys()].some((name) => name.startsWith(DECODER_PREFIX));
  if (hasDecoder) for (const [name, shape] of decoderShapes(config)) expected.set(DECODER_PREFIX + name, shape);
  checkShapes(path, expected, tensors);
  const values = (name: string) => toFloat32(tensors.get(name)!);
  const map = { mean: values('analysis.mean'), basis: values('analysis.basis'), scale: values('analysis.scale')[0] };
  const statistics = { mean: values('statistics.mean'), std: values('statistics.std') };
  if (!hasDecoder) return { config, map, statistics };
  const decoder = [...decoderShapes(config)].map(
    ([name, shape]) => [name, { shape, values: values(DECODER_PREFIX + name) }] as const,
  );
  return { config, map, statistics, decoder: new Map(decoder) };
}

/** Writes a mel codec's directory; each file is replaced as a whole. The decoder is stored as `dtype`. */
export function writeMelCodecFiles(directory: string, files: MelCodecFiles, dtype: 'F32' | 'F16' = 'F32'): void {
  const { config, map, statistics, decoder } = files;
  const named = new Map<string, Float32Array>([
    ['analysis.mean', map.mean],
    ['analysis.basis', map.basis],
    ['analysis.scale', Float32Array.of(map.scale)],
    ['statistics.mean', statistics.mean],
    ['statistics.std', statistics.std],
  ]);
  const tensors = new Map<string, SafetensorsArray>();
  for (const [name, shape] of analysisShapes(config)) tensors.set(name, fromFloat32(named.get(name)!, shape));
  for (const [name, { shape, values }] of decoder ?? []) {
    tensors.set(DECODER_PREFIX + name, fromFloat32(values, [...shape], dtype));
  }
  mkdirSync(directory, { recursive: true });
  writeWhole(join(directory, 'config.json'), [Buffer.from(JSON.stringify(config, null, 2) + '\n')]);
  writeSafetensors(join(directory, 'model.safetensors'), tensors);
}

function readConfig(path: string): MelCodecConfig {
  try {
    return parseMelCodecConfig(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new CheckpointError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function checkShapes(
  path: string,
  expected: ReadonlyMap<string, number[]>,
  got: ReadonlyMap<string, SafetensorsArray>,
): void {
  const faults: string[] = [];
  for (const [name, shape] of expected) {
    const tensor = got.get(name);
    if (!tensor) faults.push(`${name} is missing`);
    else if (tensor.shape.join() !== shape.join()) faults.push(`${name} is [${tensor.shape}], expected [${shape}]`);
    else if (!['F32', 'F16', 'BF16'].includes(tensor.dtype))
      faults.push(`${name} is ${tensor.dtype}, expected a float`);
  }
  for (const name of got.keys()) if (!expected.has(name)) faults.push(`${name} is unknown`);
  if (faults.length > 0) {
    throw new CheckpointError(`${path}: does not fit its config.json: ${faults.join('; ')}`);
  }
}
