import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `voices/` of this package, from `src/generate/` and from `dist/generate/` alike. */
const VOICES = fileURLToPath(new URL('../../voices/', import.meta.url));

/** Is this the directory of a model or codec? */
export const isModel = (directory: string): boolean => existsSync(join(directory, 'config.json'));

/** Names of the voices that this package ships. */
export function shippedVoices(): string[] {
  if (!existsSync(VOICES)) return [];
  return readdirSync(VOICES)
    .filter((name) => isModel(join(VOICES, name)))
    .sort();
}

/** The directory of a shipped voice; undefined where none has this name. */
export function shippedVoice(name: string): string | undefined {
  const directory = join(VOICES, name);
  return name !== '' && basename(name) === name && isModel(directory) ? directory : undefined;
}
