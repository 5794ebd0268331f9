import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateFrames, type GenerateOptions, type StopReason } from '../../../src/generate/generate-frames.js';
import { openSession, type OpenSessionOptions } from '../../../src/generate/open-session.js';
import type { Session } from '../../../src/generate/session.js';
import { TokenQueue, type TokenSource } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { parameterTable } from '../../../src/model/checkpoint.js';
import { parseConfig, type SledConfig } from '../../../src/model/config.js';
import { fromFloat32, readSafetensors, toFloat32, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { hashWeights } from '../../golden/hash-weights.js';

const goldenFolder = new URL('../../golden/generation/', import.meta.url);
const json = (name: string) => JSON.parse(readFileSync(new URL(name, goldenFolder), 'utf8'));

/** What generation.py writes about a case. */
export interface GoldenCase {
  config: string;
  mode: 'offline' | 'stream' | 'clone' | 'batch';
  seed: number;
  guidance: number;
  maxFrames: number;
  stopped: boolean;
}

export const goldenCases: Record<string, GoldenCase> = json('cases.json');

export const goldenConfig = (name: string): SledConfig => parseConfig(json('configs.json')[name], 'configs.json');

/** The checkpoint of a case: hashed weights, with their gains by name, and the end-of-speech weight it carries. */
export function hashedCheckpoint(
  config: SledConfig,
  endHead?: Float32Array,
  gains: Readonly<Record<string, number>> = {},
): Map<string, SafetensorsArray> {
  const tensors = new Map<string, SafetensorsArray>();
  for (const { released, shape } of parameterTable(config))
    tensors.set(released, fromFloat32(hashWeights(released, shape, gains[released]), shape));
  if (endHead) tensors.set('eos_head.weight', fromFloat32(endHead, [1, config.width]));
  return tensors;
}

/** A case with its arrays. */
export function loadGolden(name: string) {
  const golden = goldenCases[name];
  const { tensors } = readSafetensors(fileURLToPath(new URL(`${name}.safetensors`, goldenFolder)));
  const floats = (key: string) => toFloat32(tensors.get(key)!);
  const integers = (key: string) => [...new Int32Array(tensors.get(key)!.bytes.buffer)];
  const config = goldenConfig(golden.config);
  return { ...golden, config, ids: integers('input_ids'), floats, integers, tensors };
}

export type Golden = ReturnType<typeof loadGolden>;

/** Everything in float32, the cache of keys and values with it, so that only the order of sums differs from the released code's. */
export const EXACT: OpenSessionOptions = { weights: 'f32', threads: 1 };

export const openGolden = ({ config, floats }: Golden, options: OpenSessionOptions = EXACT): Promise<Session> =>
  openSession(config, hashedCheckpoint(config, floats('eos_head.weight')), options);

/** [T, D] as T frames. */
export function framesOf(values: Float32Array, latentDim: number): Float32Array[] {
  return Array.from({ length: values.length / latentDim }, (_, i) =>
    values.subarray(i * latentDim, (i + 1) * latentDim),
  );
}

/** Frames, end scores and the reason for stopping of one generation. */
export async function collectFrames(
  session: Session,
  config: SledConfig,
  text: TokenSource,
  options: GenerateOptions,
): Promise<{ frames: Float32Array[]; scores: number[]; reason: StopReason }> {
  const [frames, scores]: [Float32Array[], number[]] = [[], []];
  const generation = generateFrames(session, config, text, { ...options, onEndScore: (score) => scores.push(score) });
  for (;;) {
    const { value, done } = await generation.next();
    if (done) return { frames, scores, reason: value };
    frames.push(value);
  }
}

/** Runs a case as the released scripts do. */
export function runGolden(golden: Golden, session: Session, changes: Partial<GenerateOptions> = {}) {
  const { config, ids, seed, guidance, maxFrames, mode, floats } = golden;
  const prompt = mode === 'clone' ? framesOf(floats('prompt'), config.latentDim) : undefined;
  const noise = new TorchRandom(seed);
  return collectFrames(session, config, TokenQueue.of(ids), {
    noise,
    guidanceScale: guidance,
    maxFrames,
    prompt,
    ...changes,
  });
}

/** Largest absolute difference. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Infinity;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}
