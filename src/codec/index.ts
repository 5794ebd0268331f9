import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Codec } from './codec.js';
import { EncodecCodec, type EncodecOptions } from './encodec/encodec-codec.js';
import { parseEncodecConfig } from './encodec/config.js';
import { foldWeights, readEncodecFilesAsync, weightShapes } from './encodec/weights.js';
import { parseMelCodecConfig } from './mel/config.js';
import { melCodecFilesOf, readMelCodecFilesAsync } from './mel/files.js';
import { MelCodec, type MelCodecOptions } from './mel/mel-codec.js';
import { CheckpointError } from '../model/errors.js';
import { fromFloat32, readSafetensors, type SafetensorsArray } from '../model/safetensors.js';

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

/** openCodec() that reads the files beside other work. */
export async function openCodecAsync(directory: string, options: CodecOptions = {}): Promise<Codec> {
  if (isEncodec(directory)) return new EncodecCodec(await readEncodecFilesAsync(directory), options);
  return new MelCodec(await readMelCodecFilesAsync(directory), options);
}

/** A codec as one file holds it: the text of its `config.json`, and its tensors, weight norm folded. */
export interface CodecFiles {
  readonly config: string;
  readonly tensors: ReadonlyMap<string, SafetensorsArray>;
}

/** Reads and checks a codec's directory. @throws {CheckpointError} */
export function readCodecFiles(directory: string): CodecFiles {
  const path = join(directory, 'model.safetensors');
  openCodec(directory); // checks everything, and loads nothing into ggml
  const config = readFileSync(join(directory, 'config.json'), 'utf8');
  const { tensors } = readSafetensors(path);
  if (!isEncodec(directory)) return { config, tensors };
  const parsed = parseEncodecConfig(JSON.parse(config));
  const [weights, shapes] = [foldWeights(parsed, tensors, path), weightShapes(parsed)];
  return {
    config,
    tensors: new Map([...weights].map(([name, values]) => [name, fromFloat32(values, shapes.get(name)!)])),
  };
}

/** The codec of such files. @throws {CheckpointError} */
export function codecOfFiles({ config, tensors }: CodecFiles, source: string, options: CodecOptions = {}): Codec {
  let json: { model_type?: unknown } | null;
  try {
    json = JSON.parse(config) as typeof json;
    if (json?.model_type === 'encodec') {
      const parsed = parseEncodecConfig(json);
      const shaped = withLeadingOnes(tensors, weightShapes(parsed));
      return new EncodecCodec({ config: parsed, weights: foldWeights(parsed, shaped, source) }, options);
    }
    return new MelCodec(melCodecFilesOf(parseMelCodecConfig(json), tensors, source), options);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(`${source}: the codec's config: ${(error as Error).message}`, { cause: error });
  }
}

/** A voice file keeps no dimensions of one at the front of a shape, such as that of one output channel: they are given back. */
function withLeadingOnes(
  tensors: CodecFiles['tensors'],
  expected: ReadonlyMap<string, readonly number[]>,
): CodecFiles['tensors'] {
  const withOnes = (shape: readonly number[], length: number) =>
    [...Array<number>(Math.max(0, length - shape.length)).fill(1), ...shape]; // prettier-ignore
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const shape = withOnes(tensor.shape, expected.get(name)?.length ?? 0);
      return [name, { ...tensor, shape }];
    }),
  );
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
