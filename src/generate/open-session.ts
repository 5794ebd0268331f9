import { availableParallelism } from 'node:os';
import { openGgml } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import type { SafetensorsArray } from '../model/safetensors.js';
import { Session, type SessionOptions } from './session.js';
import { countWeights, loadWeights, WEIGHT_TYPES, type WeightType } from './weights.js';

export interface OpenSessionOptions extends SessionOptions {
  /** How the matrices are stored (default f16). */
  weights?: WeightType;
  /** Threads of a CPU (default: see defaultThreads). */
  threads?: number;
  /** `cpu` (default), `gpu`, or the name of one of ggml's devices. */
  device?: string;
  /** What the weights were read from, for errors. */
  source?: string;
}

/** Small networks do not gain by many threads: waiting for each other after every operation eats what they save. */
const SMALL_NETWORK = 50_000_000;
const SMALL_NETWORK_THREADS = 4;

/** As many threads as there are processors, a few for a small network. */
export function defaultThreads(weightCount: number): number {
  const processors = availableParallelism();
  return weightCount < SMALL_NETWORK ? Math.min(processors, SMALL_NETWORK_THREADS) : processors;
}

/**
 * Loads a network, from a checkpoint in the released layout, ready to generate.
 * @throws {CheckpointError} listing every tensor that is missing, unknown or mis-shaped. @throws {RangeError} for an option.
 */
export async function openSession(
  config: SledConfig,
  file: ReadonlyMap<string, SafetensorsArray>,
  options: OpenSessionOptions = {},
): Promise<Session> {
  const { weights: type = 'f16', threads = defaultThreads(countWeights(file)), device = 'cpu', source } = options;
  if (!WEIGHT_TYPES.includes(type))
    throw new RangeError(`weights: expected one of ${WEIGHT_TYPES.join(', ')}, got ${String(type)}`);
  const ggml = openGgml();
  const backend = ggml.backend(device, { threads });
  try {
    const weights = await loadWeights({ ggml, backend }, config, file, type, source);
    return new Session({ ggml, backend, weights, config }, options);
  } catch (error) {
    backend.free();
    throw error;
  }
}
