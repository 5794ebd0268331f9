import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Codec } from './codec.js';
import { EncodecCodec, type EncodecOptions } from './encodec/encodec-codec.js';
import { MelCodec, type MelCodecOptions } from './mel/mel-codec.js';

export type { Codec, LatentDecoder } from './codec.js';
export type CodecOptions = MelCodecOptions & EncodecOptions;

/**
 * Opens the codec in a directory with `config.json` and `model.safetensors`: EnCodec in Hugging Face's layout, or our own.
 *
 * @throws {CheckpointError} for files that are missing, truncated or do not fit each other.
 */
export function openCodec(directory: string, options: CodecOptions = {}): Codec {
  return isEncodec(directory) ? EncodecCodec.open(directory, options) : MelCodec.open(directory, options);
}

/** A config that cannot be read is MelCodec's to complain about. */
function isEncodec(directory: string): boolean {
  try {
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as { model_type?: unknown } | null;
    return config?.model_type === 'encodec';
  } catch {
    return false;
  }
}
