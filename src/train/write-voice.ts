import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files that a model of letters needs wherever it goes. */
export const VOCABULARY_FILES = ['vocab.json', 'merges.txt'];

/** What a voice folder is made of. */
export interface VoiceSource {
  /** Folder with config.json and model.safetensors. */
  checkpoint: string;
  /** Folder of the codec. */
  codec: string;
  /** Folder with vocab.json and merges.txt, where the model reads letters. */
  vocabulary?: string;
  /** What README.md says: whose voice, from which data, under which licence. */
  card: string;
}

/** Writes a folder that `say --model` takes; its parts are put in place one by one, the weights last. */
export function writeVoice(out: string, { checkpoint, codec, vocabulary, card }: VoiceSource): void {
  mkdirSync(out, { recursive: true });
  const temporary = join(out, `codec.${process.pid}.part`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  copyFiles(codec, temporary, ['config.json', 'model.safetensors']);
  rmSync(join(out, 'codec'), { recursive: true, force: true });
  renameSync(temporary, join(out, 'codec'));
  if (vocabulary !== undefined) copyFiles(vocabulary, out, VOCABULARY_FILES);
  writeFileSync(join(out, 'README.md'), card);
  copyFiles(checkpoint, out, ['config.json', 'model.safetensors']);
}

/** Copies a model's vocabulary, where it has one. */
export function copyVocabulary(from: string, to: string): void {
  if (existsSync(join(from, VOCABULARY_FILES[0]))) copyFiles(from, to, VOCABULARY_FILES);
}

function copyFiles(from: string, to: string, names: readonly string[]): void {
  for (const name of names) {
    copyFileSync(join(from, name), join(to, `${name}.part`));
    renameSync(join(to, `${name}.part`), join(to, name));
  }
}
