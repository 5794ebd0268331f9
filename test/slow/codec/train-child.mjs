// Trains a tiny codec on what test/fast/codec/corpus-files.ts wrote: node train-child.mjs DATA OUT CONFIG RECIPE RESUME
import { join } from 'node:path';
import { trainCodec } from '../../../dist/train/codec/train.js';

const [data, out, config, recipe, resume] = process.argv.slice(2);
await trainCodec({
  manifests: [join(data, 'manifest.jsonl')],
  out,
  config: JSON.parse(config),
  recipe: JSON.parse(recipe),
  resume: resume === 'true',
  checkpointEveryMinutes: 0,
});
