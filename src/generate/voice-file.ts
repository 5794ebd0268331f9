import { GgmlError, openGgmlAsync, openGguf, type GgufFile } from '@sled-tts/ggml';
import { codecOfFiles, type CodecFiles } from '../codec/index.js';
import { speakingType } from '../codec/speaking-type.js';
import { parseConfig, type SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import type { SafetensorsArray, SafetensorsType } from '../model/safetensors.js';
import { createFrontEnd } from '../text/index.js';
import type { LoadVoiceOptions } from './load-voice.js';
import { openSession } from './open-session.js';
import { checkParts, type SpeechParts } from './speech.js';

/** Keys of a voice file, beside the network's tensors by our names and the codec's by theirs after `codec.`. */
export const VOICE_FILE_KEYS = {
  architecture: 'general.architecture',
  /** Text of the model's and of the codec's config.json. */
  config: 'sled.config',
  codec: 'sled.codec.config',
  /** Texts of a byte-level BPE's files. */
  vocab: 'sled.tokenizer.vocab',
  merges: 'sled.tokenizer.merges',
} as const;
export const ARCHITECTURE = 'sled';
export const CODEC_PREFIX = 'codec.';
export const CODEC_TYPES = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;

/**
 * Loads a voice file. The network's matrices stay in the mapped file, but for those that the processor multiplies faster in
 * another order.
 * @throws {CheckpointError} for a file that is truncated, none of ours, or does not fit its config, in one line.
 */
export async function loadVoiceFile(path: string, options: LoadVoiceOptions = {}): Promise<SpeechParts> {
  if (options.weights !== undefined)
    throw new RangeError(`weights: ${path} holds its own; \`sled-tts convert\` the model to another type`);
  const file = await openFile(path);
  try {
    const config = parseConfigText(textOf(file, VOICE_FILE_KEYS.config), `${path}: config`);
    const files = config.text === 'bpe' && {
      vocab: textOf(file, VOICE_FILE_KEYS.vocab),
      merges: textOf(file, VOICE_FILE_KEYS.merges),
    };
    const kind = files ? { kind: 'bpe' as const, directory: path, files } : { kind: 'phonemes-en' as const };
    const frontEnd = createFrontEnd(kind, options);
    const float = isFloat(file) ? 'f32' : undefined;
    const codecOptions = { device: options.device, weightType: speakingType(options.device, float) };
    const codec = codecOfFiles(await codecFilesOf(file), path, codecOptions);
    try {
      checkParts({ config, frontEnd, codec });
      return { config, frontEnd, codec, session: await openSession(config, file, { cacheType: float, ...options }) };
    } catch (error) {
      await codec.free();
      throw error;
    }
  } finally {
    await file.close();
  }
}

/** Whether every tensor of the network is float32. */
const isFloat = ({ tensors }: GgufFile): boolean =>
  [...tensors].every(([name, { type }]) => name.startsWith(CODEC_PREFIX) || type === 'f32');

function parseConfigText(text: string, source: string): SledConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${source}: ${(error as Error).message}`, { cause: error });
  }
  return parseConfig(json, source);
}

async function openFile(path: string): Promise<GgufFile> {
  try {
    return await openGguf(await openGgmlAsync(), path);
  } catch (error) {
    if (error instanceof GgmlError) throw new CheckpointError(error.message, { cause: error });
    throw error;
  }
}

function textOf({ metadata, path }: GgufFile, key: string): string {
  const value = metadata.get(key);
  if (metadata.get(VOICE_FILE_KEYS.architecture) !== ARCHITECTURE || typeof value !== 'string')
    throw new CheckpointError(`${path}: expected a voice that \`sled-tts convert\` wrote, with the text ${key}`);
  return value;
}

async function codecFilesOf(file: GgufFile): Promise<CodecFiles> {
  const tensors = new Map<string, SafetensorsArray>();
  for (const { name, type, ne } of file.tensors.values()) {
    if (!name.startsWith(CODEC_PREFIX)) continue;
    const dtype = type.toUpperCase() as SafetensorsType;
    if (!(dtype in CODEC_TYPES))
      throw new CheckpointError(`${file.path}: ${name}: expected f32, f16 or bf16, got ${type}`);
    const shape = [...ne].reverse();
    tensors.set(name.slice(CODEC_PREFIX.length), { dtype, shape, bytes: await file.read(name) });
  }
  return { config: textOf(file, VOICE_FILE_KEYS.codec), tensors };
}
