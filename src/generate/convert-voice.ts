import { join } from 'node:path';
import { openGgml, writeGguf, type GgufTensorInput } from '@sled-tts/ggml';
import { readCodecFiles, type CodecFiles } from '../codec/index.js';
import { writeConfig } from '../model/config.js';
import { readSafetensors } from '../model/safetensors.js';
import { readBpeFiles } from '../text/index.js';
import { codecDirectory, readConfig, type LoadVoiceOptions } from './load-voice.js';
import { ARCHITECTURE, CODEC_PREFIX, CODEC_TYPES, VOICE_FILE_KEYS } from './voice-file.js';
import { checkWeightType, countWeights, defaultWeights, packedParts, type WeightType } from './weights.js';

/** What a voice file is made of. */
export interface ConvertOptions extends Pick<LoadVoiceOptions, 'codec' | 'signal' | 'onDownload'> {
  /** How the network's matrices are stored (default: see defaultWeights). */
  weights?: WeightType;
}

/**
 * Writes a model's directory, with its codec, as one GGUF file: all of it or nothing.
 * @throws {CheckpointError} for a model that is missing, truncated, or does not fit its config.
 */
export async function convertVoice(directory: string, path: string, options: ConvertOptions = {}): Promise<void> {
  const config = readConfig(join(directory, 'config.json'));
  const { weights = defaultWeights(countWeights(config)) } = options;
  checkWeightType(weights);
  const source = join(directory, 'model.safetensors');
  const codecFiles = readCodecFiles(await codecDirectory(directory, config, options));
  const ggml = openGgml();
  const bpe = config.text === 'bpe' ? readBpeFiles(directory) : undefined;
  const parts = packedParts(ggml, config, readSafetensors(source).tensors, weights, source);
  const network = parts.map(({ pack, ...part }): GgufTensorInput => ({ ...part, data: pack }));
  await writeGguf(ggml, path, {
    metadata: {
      [VOICE_FILE_KEYS.architecture]: ARCHITECTURE,
      [VOICE_FILE_KEYS.config]: JSON.stringify(writeConfig(config)),
      [VOICE_FILE_KEYS.codec]: codecFiles.config,
      ...(bpe && { [VOICE_FILE_KEYS.vocab]: bpe.vocab, [VOICE_FILE_KEYS.merges]: bpe.merges }),
    },
    tensors: [...network, ...codecTensors(codecFiles)],
  });
}

function codecTensors({ tensors }: CodecFiles): GgufTensorInput[] {
  return [...tensors].map(([name, { dtype, shape, bytes }]) => {
    const type = CODEC_TYPES[dtype as keyof typeof CODEC_TYPES];
    return { name: CODEC_PREFIX + name, type, ne: [...shape].reverse(), data: bytes };
  });
}
