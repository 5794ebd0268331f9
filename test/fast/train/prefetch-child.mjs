// Trains on shards with a thread that reads ahead, stopped after five steps and gone on with. Prints what was open
// in the process before and after. node prefetch-child.mjs FOLDER OUT
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../../dist/model/config.js';
import { openShards } from '../../../dist/data/shards.js';
import { train } from '../../../dist/train/train.js';
import { parseTrainingConfig } from '../../../dist/train/training-config.js';

const [, , folder, out] = process.argv;
const { model, training } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
const config = parseConfig(model);
const data = openShards(folder, config);
const options = { data, frameRate: 1, out, model: config, training: parseTrainingConfig(training), threads: 1 };

/** What keeps a process alive, and open files of shards. */
const open = () => ({
  resources: process.getActiveResourcesInfo().filter((name) => /port|worker/i.test(name)).length,
  threads: process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0,
});

await train({ ...options, out: join(folder, 'first'), training: { ...options.training, steps: 1 } }); // starts all other threads
const before = open();
const controller = new AbortController();
let lines = 0;
const loop = await train({
  ...options,
  prefetch: 4,
  logEvery: 1,
  signal: controller.signal,
  onLine: () => ++lines === 5 && controller.abort(),
});
await train({ ...options, prefetch: 4 });
console.log(JSON.stringify({ stopped: loop.step, before, after: open() }));
