import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseHubId } from '../hub/hub-id.js';
import { Snapshot, type SnapshotOptions } from '../hub/snapshot.js';
import { CheckpointError } from '../model/errors.js';
import { isModel, shippedVoice, shippedVoices } from './shipped-voices.js';

/** `hub` says how to fetch a model that is named by its hub id. */
export interface ResolveOptions extends SnapshotOptions {
  /** A codec is made of fewer files than a model. */
  kind: 'model' | 'codec';
}

/**
 * The directory of a model or codec, or a voice file: a path, the name of a shipped voice, or a hub id, `ORG/NAME` or `ORG/NAME@REVISION`,
 * whose files are fetched into the cache of Hugging Face's tools unless they are there.
 * @throws {CheckpointError} when there is no such model, naming the voices that there are.
 * @throws {HubError} when the hub does not give it.
 */
export async function resolveModel(name: string | undefined, options: ResolveOptions): Promise<string> {
  const model = name ?? (options.kind === 'model' ? shippedVoices()[0] : undefined) ?? '';
  if (model === '') throw new CheckpointError('model: this package ships no voice; name the directory of one');
  if (isModel(model) || (options.kind === 'model' && isVoiceFile(model))) return model;
  const shipped = options.kind === 'model' ? shippedVoice(model) : undefined;
  if (shipped !== undefined) return shipped;
  const id = existsSync(model) ? undefined : parseHubId(model);
  if (!id) throw unknownModel(model, options.kind);
  const snapshot = await Snapshot.open(id, options);
  await snapshot.fetch(['config.json']);
  await snapshot.fetch(await filesOf(snapshot, options.kind));
  return snapshot.directory;
}

/** True for a model that is one file: network, tokenizer and codec as GGUF. */
export const isVoiceFile = (path: string): boolean =>
  path.endsWith('.gguf') && existsSync(path) && statSync(path).isFile();

function unknownModel(model: string, kind: ResolveOptions['kind']): CheckpointError {
  const directory = existsSync(model) ? 'a directory with a config.json' : 'a directory';
  if (kind === 'codec') return new CheckpointError(`codec ${model}: expected ${directory} or a hub id, ORG/NAME`);
  const names = shippedVoices().join(', ') || 'none';
  return new CheckpointError(
    `model ${model}: expected ${directory}, the name of a shipped voice (${names}) or a hub id, ORG/NAME`,
  );
}

/** What is loaded of a repository beside its config; the rest is never fetched. */
async function filesOf(snapshot: Snapshot, kind: ResolveOptions['kind']): Promise<string[]> {
  const files = ['model.safetensors'];
  if (kind === 'codec') return files;
  if (!readsPhonemes(snapshot.directory)) files.push('vocab.json', 'merges.txt');
  const [config, weights] = ['codec/config.json', 'codec/model.safetensors'];
  if (await snapshot.has(config)) files.push(config, weights);
  return files;
}

/** A config that cannot be read is complained about when it is loaded. */
function readsPhonemes(directory: string): boolean {
  try {
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as Record<string, unknown> | null;
    return config?.text_front_end === 'phonemes-en';
  } catch {
    return false;
  }
}
