import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CheckpointError } from '../model/errors.js';

/** `voices/` of this package, from `src/generate/` and from `dist/generate/` alike. */
const VOICES = fileURLToPath(new URL('../../voices/', import.meta.url));

const isModel = (directory: string) => existsSync(join(directory, 'config.json'));

/** Names of the voices that this package ships. */
export function shippedVoices(): string[] {
  if (!existsSync(VOICES)) return [];
  return readdirSync(VOICES)
    .filter((name) => isModel(join(VOICES, name)))
    .sort();
}

/**
 * The directory of a model: a path, the name of a shipped voice, or the first of these.
 * @throws {CheckpointError} when there is no such model, naming the voices that there are.
 */
export function findModel(model: string = shippedVoices()[0] ?? ''): string {
  if (model !== '' && isModel(model)) return model;
  if (model !== '' && basename(model) === model && isModel(join(VOICES, model))) return join(VOICES, model);
  const names = shippedVoices().join(', ') || 'none';
  if (model === '') throw new CheckpointError('model: this package ships no voice; name the directory of one');
  const what = existsSync(model) ? 'a directory with a config.json' : 'a directory, or the name of a shipped voice';
  throw new CheckpointError(`model ${model}: expected ${what} (shipped voices: ${names})`);
}
