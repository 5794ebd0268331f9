import { availableParallelism } from 'node:os';
import { GgufFile, openGgmlAsync } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import type { SafetensorsArray } from '../model/safetensors.js';
import { Session, type SessionOptions } from './session.js';
import {
  checkWeightType,
  countWeights,
  defaultWeights,
  loadPackedWeights,
  loadWeights,
  SMALL_NETWORK,
  type Weights,
  type WeightType,
} from './weights.js';
import { Workers } from './workers.js';

export interface OpenSessionOptions extends SessionOptions {
  /** How the matrices are stored (default: see defaultWeights). */
  weights?: WeightType;
  /** Threads of a CPU (default: see defaultThreads). */
  threads?: number;
  /** `cpu` (default), `gpu`, or the name of one of ggml's devices. */
  device?: string;
  /** What the weights were read from, for errors. */
  source?: string;
}

/** One thread for a small network, which needs no more and leaves the processor to others, one a processor for a large one. */
export const defaultThreads = (weightCount: number): number =>
  weightCount < SMALL_NETWORK ? 1 : availableParallelism();

/**
 * Loads a network, from a checkpoint in the released layout or from a voice file, ready to generate.
 * @throws {CheckpointError} listing every tensor that is missing, unknown or mis-shaped. @throws {RangeError} for an option.
 */
export async function openSession(
  config: SledConfig,
  file: ReadonlyMap<string, SafetensorsArray> | GgufFile,
  options: OpenSessionOptions = {},
): Promise<Session> {
  const weightCount = countWeights(config);
  const { weights: type = defaultWeights(weightCount), threads = defaultThreads(weightCount), device = 'cpu', source } = options; // prettier-ignore
  // Whoever asks for exact weights compares with another engine, which rounds no keys and values either.
  const { cacheType = isExact(file, type) ? 'f32' : undefined } = options;
  checkWeightType(type);
  const ggml = await openGgmlAsync();
  const workers = await Workers.open(ggml, { device, threads });
  const backend = workers.main;
  let weights: Weights | undefined;
  try {
    weights =
      file instanceof GgufFile
        ? await loadPackedWeights({ ggml, backend }, config, file)
        : await loadWeights({ ggml, backend }, config, file, type, source);
    return await Session.create({ ggml, workers, weights, config }, { ...options, cacheType });
  } catch (error) {
    await weights?.free();
    await workers.free();
    throw error;
  }
}

/** Whether nothing of the network is rounded; a voice file's table of text is float32 only where all of it is. */
const isExact = (file: ReadonlyMap<string, SafetensorsArray> | GgufFile, type: WeightType): boolean =>
  (file instanceof GgufFile ? file.tensors.get('textEmbedding.weight')?.type : type) === 'f32';
