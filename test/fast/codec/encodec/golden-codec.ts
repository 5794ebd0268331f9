import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEncodecConfig } from '../../../../src/codec/encodec/config.js';
import { foldWeights, type EncodecFiles } from '../../../../src/codec/encodec/weights.js';
import { fromFloat32, readSafetensors, toFloat32, type SafetensorsArray } from '../../../../src/model/safetensors.js';
import { hashUniform } from '../../../golden/hash-weights.js';

const GOLDEN = fileURLToPath(new URL('../../../golden/encodec/', import.meta.url));

/** The config as Hugging Face wrote it. */
export const goldenConfig = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(GOLDEN, `${name}.json`), 'utf8')) as Record<string, unknown>;

/** Names and shapes of Hugging Face's state_dict. */
const goldenNames = (name: string): Record<string, number[]> =>
  JSON.parse(readFileSync(join(GOLDEN, `${name}.names.json`), 'utf8')) as Record<string, number[]>;

/** The golden arrays of a config, by case. */
export function goldenArrays(name: string): Map<string, SafetensorsArray> {
  return readSafetensors(join(GOLDEN, `${name}.safetensors`)).tensors;
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** The rule of encodec.py. */
function scaleAndOffset(name: string, shape: readonly number[]): [number, number] {
  if (name.slice(name.lastIndexOf('.')).includes('bias')) return [0.1, 0];
  if (name.endsWith('original0')) return [0.2, 1.1];
  const codebook = /layers\.(\d+)\.codebook\.embed$/.exec(name);
  if (codebook) return [0.8 * 0.75 ** Number(codebook[1]), 0];
  return [Math.sqrt(3 / product(shape.slice(1))), 0];
}

/** A checkpoint's arrays in Hugging Face's names. */
export function goldenTensors(name: string): Map<string, SafetensorsArray> {
  const entries = Object.entries(goldenNames(name)).map(([key, shape]) => {
    const [scale, offset] = scaleAndOffset(key, shape);
    const values = Float32Array.from(hashUniform(key, product(shape)), (u) => offset + scale * u);
    return [key, fromFloat32(values, shape)] as const;
  });
  return new Map(entries);
}

/** What a directory of the checkpoint would hold. */
export function goldenFiles(name: string): EncodecFiles {
  const config = parseEncodecConfig(goldenConfig(name));
  return { config, weights: foldWeights(config, goldenTensors(name), name) };
}

/** The samples that encodec.py encodes. */
export function goldenSignal(count: number): Float32Array {
  const noise = hashUniform(`samples.${count}`, count);
  return Float32Array.from(noise, (u, n) => 0.5 * Math.sin((n * n) / 5000) + 0.2 * u);
}

/** The latents [T, D] that encodec.py decodes. */
export function goldenLatents(frames: number, dimension: number): Float32Array {
  return Float32Array.from(hashUniform(`latents.${frames}`, frames * dimension));
}

/** The cases of a kind: frames of `decode.T`, samples of `encode.N`. */
export function goldenSizes(name: string, kind: 'decode' | 'encode'): number[] {
  const sizes = [...goldenArrays(name).keys()].filter((key) => key.startsWith(kind)).map((key) => +key.split('.')[1]);
  return [...new Set(sizes)].sort((a, b) => a - b);
}

export const floatsOf = (arrays: ReadonlyMap<string, SafetensorsArray>, key: string): Float32Array =>
  toFloat32(arrays.get(key)!);

export function integersOf(arrays: ReadonlyMap<string, SafetensorsArray>, key: string): number[] {
  const { bytes } = arrays.get(key)!;
  return [...new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];
}

/** The largest difference between two arrays of a length. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
}
