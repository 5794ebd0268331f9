// Prints how many threads of the lowest priority a process has that asks for help from several workers; see fast/helper.test.ts.
import { readdirSync, readFileSync } from 'node:fs';
import { isMainThread, Worker } from 'node:worker_threads';
import { openGgml } from '@sled-tts/ggml';

const SCHED_IDLE = '5';
const POLICY = 41 - 3; // the field of proc's stat; the first behind the name is the third

openGgml().backend('cpu', { threads: 1, helped: true }).free();
if (isMainThread) {
  const workers = [1, 2].map(() => new Worker(new URL(import.meta.url)));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.on('exit', resolve))));
  const policies = readdirSync('/proc/self/task').map((thread) => {
    const [, fields] = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ');
    return fields.split(' ')[POLICY];
  });
  console.log(policies.filter((policy) => policy === SCHED_IDLE).length);
}
