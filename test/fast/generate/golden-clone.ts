/** What voice-clone.py writes: latents and sound of the released cloning and evaluation scripts, with a tiny model and a tiny codec. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseConfig, type SledConfig } from '../../../src/model/config.js';
import { readSafetensors, toFloat32, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { hashedCheckpoint } from './golden-cases.js';

const golden = (path: string) => fileURLToPath(new URL(`../../golden/${path}`, import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(golden(`voice-clone/${name}`), 'utf8')) as unknown;

/** A case: batches that a script speaks one after another, from one seed. */
export interface CloneCase {
  script: 'clone' | 'continue' | 'reference' | 'stream';
  seed: number;
  guidance: number;
  /** Keys of the config that an interleaved model has too. */
  turns: Record<string, number>;
  readings: number;
  ends: boolean;
  /** `lengths`: how many samples of the golden signal are a prompt's sound. */
  batches: { texts: string[]; prompts: string[] | null; lengths: number[] }[];
}

export const cloneCases = json('cases.json') as Record<string, CloneCase>;
/** The config of a case. */
export const cloneConfig = (name: string): SledConfig =>
  parseConfig({ ...(json('config.json') as object), ...cloneCases[name].turns });
export const bpeFolder = golden('bpe');

const { tensors } = readSafetensors(golden('voice-clone/golden.safetensors'));
export const hasGolden = (name: string): boolean => tensors.has(name);
export const goldenFloats = (name: string): Float32Array => toFloat32(tensors.get(name)!);

/** The checkpoint of a case. */
export const cloneCheckpoint = (name: string): Map<string, SafetensorsArray> =>
  hashedCheckpoint(cloneConfig(name), goldenFloats(`${name}.eos_head.weight`));
