// Trains a tiny streaming model for a few steps and keeps its checkpoint: test/golden/trained/{config.json, model.safetensors}.
//     npm run build && node test/golden/trained.mjs && python test/golden/trained.py SLED_CHECKOUT
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../dist/model/config.js';
import { listCheckpoints } from '../../dist/train/checkpoint.js';
import { train } from '../../dist/train/train.js';
import { DEFAULT_TRAINING } from '../../dist/train/training-config.js';
import { hashedDataset } from './hashed-dataset.mjs';

const here = import.meta.dirname;
const model = parseConfig(JSON.parse(readFileSync(join(here, 'training/config.json'), 'utf8')));
const out = mkdtempSync(join(tmpdir(), 'trained-'));
const training = { ...DEFAULT_TRAINING, steps: 4, warmupSteps: 1, decaySteps: 3, learningRate: 1e-2, precision: 'f32', maxSecondsPerBatch: 60 }; // prettier-ignore
await train({ data: hashedDataset(model), frameRate: 1, out, model, training, threads: 1 });
for (const name of ['config.json', 'model.safetensors'])
  copyFileSync(join(listCheckpoints(out).at(-1), name), join(here, 'trained', name));
rmSync(out, { recursive: true });
