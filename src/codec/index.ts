import type { Codec } from './codec.js';
import { MelCodec, type MelCodecOptions } from './mel/mel-codec.js';

export type { Codec, LatentDecoder } from './codec.js';
export type CodecOptions = MelCodecOptions;

/**
 * Opens the codec in a directory with `config.json` and `model.safetensors`.
 *
 * @throws {CheckpointError} for files that are missing, truncated or do not fit each other.
 */
export function openCodec(directory: string, options: CodecOptions = {}): Codec {
  return MelCodec.open(directory, options);
}
