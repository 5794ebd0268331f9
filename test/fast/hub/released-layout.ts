import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeConfig, type SledConfig } from '../../../src/model/config.js';
import { writeSafetensors, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { goldenConfig as encodecConfig, goldenTensors } from '../codec/encodec/golden-codec.js';
import { goldenConfig, hashedCheckpoint } from '../generate/golden-cases.js';
import type { FakeHub } from './fake-hub.js';

export const MODEL = 'some-org/tiny-streaming';
export const CODEC = 'facebook/encodec_24khz';

const bpeFile = (name: string) => readFileSync(new URL(`../../golden/bpe/${name}`, import.meta.url));

/** Puts a tiny random streaming model, laid out as the released ones, and a tiny EnCodec on a hub. */
export function publishReleasedLayout(hub: Pick<FakeHub, 'put'>): void {
  const vocabulary = JSON.parse(bpeFile('vocab.json').toString()) as Record<string, number>;
  const config: SledConfig = { ...goldenConfig('odd-stream'), vocabSize: Object.keys(vocabulary).length, text: 'bpe' };
  const json = writeConfig(config);
  delete json.text_front_end; // the released files do not know it
  delete json.guidance_scale;
  hub.put(MODEL, 'config.json', JSON.stringify(json));
  hub.put(MODEL, 'model.safetensors', safetensors(hashedCheckpoint(config, new Float32Array(config.width))));
  for (const name of ['vocab.json', 'merges.txt']) hub.put(MODEL, name, bpeFile(name));
  hub.put(CODEC, 'config.json', JSON.stringify(encodecConfig('tiny')));
  hub.put(CODEC, 'model.safetensors', safetensors(goldenTensors('tiny')));
}

function safetensors(tensors: Map<string, SafetensorsArray>): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'sled-published-'));
  try {
    writeSafetensors(join(folder, 'model.safetensors'), tensors);
    return readFileSync(join(folder, 'model.safetensors'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
