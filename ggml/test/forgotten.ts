/** Forgets to free contexts and graphs, then collects garbage; computes in a worker thread. Prints a JSON line. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Backend, liveObjects, openGgml } from '@sled-tts/ggml';

const ggml = openGgml();
const backend = ggml.backend('cpu', { threads: 1 });

async function forget(on: Backend): Promise<number[]> {
  const weights = ggml.context();
  const w = weights.tensor('f32', [2]);
  weights.allocate(on);
  const context = ggml.context();
  const x = context.input('f32', [2]);
  const y = context.ops.add(x, w).output();
  const graph = context.graph();
  graph.expand(y);
  graph.allocate(on);
  w.set(Float32Array.of(1, 2));
  x.set(Float32Array.of(1, 2));
  await graph.compute();
  return [...(y.get() as Float32Array)];
}

if (isMainThread) {
  for (let i = 0; i < 10; i++) await forget(backend);
  const before = liveObjects();
  for (let i = 0; i < 20 && liveObjects().context + liveObjects().buffer + liveObjects().graph > 0; i++) {
    globalThis.gc?.();
    await sleep(10);
  }
  const after = liveObjects();
  const worker = new Worker(new URL(import.meta.url));
  const fromWorker = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  console.log(JSON.stringify({ before, after, fromWorker }));
} else {
  parentPort?.postMessage(await forget(backend));
}
