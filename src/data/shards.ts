/**
 * Shards of prepared speech: Arrow IPC files that other tools read, one row an utterance.
 *
 * `id`, `text` utf8; `tokens` list<int32>, specials included; `frames` int32; speech as `codes` list<uint16>, [T, K]
 * flattened, or as `latents` list<float16>, [T, D] flattened; `ends` list<int32>, the end of each token in audio samples,
 * null when it is not known. Schema metadata: the fields of `ShardInfo`. Beside shards of codes stands
 * `codebooks.safetensors`, `codebooks` [K, V, D] float32: a frame's latent is the sum of its K vectors.
 */
export { openShards, type ShardDataset } from './shard-reader.js';
export { writeShard } from './shard-writer.js';

/** What every shard of a data set must agree on. */
export interface ShardInfo {
  latentDim: number;
  /** Audio samples a frame. */
  hopLength: number;
  sampleRate: number;
  /** The text front end that made the tokens. */
  frontEnd: string;
  /** K: codes a frame; absent where the shards hold latents. */
  codebooks?: number;
}

/** A prepared utterance. Letters: L tokens, T frames, D channels, K codebooks. */
export type ShardRow = {
  id: string;
  text: string;
  /** [L] */
  tokens: ArrayLike<number>;
  /** [L - 2]: end of each token in audio samples, specials left out; null when it is not known. */
  ends: ArrayLike<number> | null;
} & ({ /** [T, D] */ latents: Float32Array } | { /** [T, K] */ codes: Uint16Array });

export const CODEBOOKS_FILE = 'codebooks.safetensors';
