import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCodecAsync } from '../codec/index.js';
import { speakingType } from '../codec/speaking-type.js';
import { parseConfig, type SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { readSafetensorsAsync } from '../model/safetensors.js';
import { createFrontEnd, type EnglishOptions } from '../text/index.js';
import { openSession, type OpenSessionOptions } from './open-session.js';
import { isVoiceFile, resolveModel, type ResolveOptions } from './resolve-model.js';
import { checkParts, type SpeechParts } from './speech.js';
import { loadVoiceFile } from './voice-file.js';

/** `onWarning` is told what is left out of a text; `pronunciations` are for words that the dictionary says otherwise. */
export interface LoadVoiceOptions
  extends Omit<OpenSessionOptions, 'source'>, EnglishOptions, Pick<ResolveOptions, 'signal' | 'onDownload'> {
  /** Directory or hub id of the codec (default: `codec/` inside the model's directory, or the codec of the released models). */
  codec?: string;
}

/** What the released checkpoints, which read byte-level BPE and hold no codec, were trained with. */
const RELEASED_CODEC = 'facebook/encodec_24khz';

/**
 * Loads a model directory in Hugging Face's layout and its codec, or a voice file.
 * @throws {CheckpointError} for files that are missing, truncated, or do not fit each other, listing all that is wrong.
 */
export async function loadVoice(directory: string, options: LoadVoiceOptions = {}): Promise<SpeechParts> {
  if (isVoiceFile(directory)) return loadVoiceFile(directory, options);
  const config = readConfig(join(directory, 'config.json'));
  const source = join(directory, 'model.safetensors');
  if (!existsSync(source)) throw new CheckpointError(`${source}: no such file; a model is made of it and config.json`);
  const { tensors } = await readSafetensorsAsync(source);
  const frontEnd = createFrontEnd({ kind: config.text, directory }, options);
  const { device, weights } = options;
  const codecOptions = { device, weightType: speakingType(device, weights) };
  const codec = await openCodecAsync(await codecDirectory(directory, config, options), codecOptions);
  try {
    checkParts({ config, frontEnd, codec });
    return { config, frontEnd, codec, session: await openSession(config, tensors, { ...options, source }) };
  } catch (error) {
    await codec.free();
    throw error;
  }
}

/** The codec that is asked for, the model's own, or that of the released models. */
export async function codecDirectory(
  model: string,
  config: SledConfig,
  options: Pick<LoadVoiceOptions, 'codec' | 'signal' | 'onDownload'>,
): Promise<string> {
  const own = join(model, 'codec');
  if (options.codec === undefined && (existsSync(own) || config.text !== 'bpe')) return own;
  return resolveModel(options.codec ?? RELEASED_CODEC, { ...options, kind: 'codec' });
}

/** @throws {CheckpointError} */
export function readConfig(path: string): SledConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CheckpointError(`${path}: ${(error as Error).message}`, { cause: error });
  }
  return parseConfig(json, path);
}
