// Memory bandwidth as a product with a matrix far larger than any cache reads it: node bench/bandwidth.mjs [THREADS] [DEVICE]
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { openGgml } from '@sled-tts/ggml';

const [COLUMNS, ROWS, ROUNDS] = [8192, 16384, 8]; // 512 MB in float32

/** Best of some rounds, in bytes a second; `threads` are a CPU's. */
export async function memoryBandwidth(threads = availableParallelism(), device = 'cpu') {
  const ggml = openGgml();
  const backend = ggml.backend(device, { threads });
  const [weights, context] = [ggml.context(), ggml.context()];
  const matrix = weights.tensor('f32', [COLUMNS, ROWS]);
  weights.allocate(backend);
  const row = new Float32Array(COLUMNS).fill(0.5);
  for (let r = 0; r < ROWS; r++) matrix.set(row, r * COLUMNS);
  const vector = context.input('f32', [COLUMNS]);
  const graph = context.graph();
  graph.expand(context.ops.mulMat(matrix, vector).output());
  graph.allocate(backend);
  let best = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const begin = performance.now();
    await graph.compute();
    best = Math.min(best, performance.now() - begin);
  }
  const bytes = matrix.bytes;
  for (const owner of [graph, context, weights, backend]) owner.free();
  return (bytes / best) * 1000;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const threads = Number(process.argv[2] ?? availableParallelism());
  const device = process.argv[3] ?? 'cpu';
  const where = device === 'cpu' ? `${threads} threads` : device;
  console.log(`${((await memoryBandwidth(threads, device)) / 1e9).toFixed(1)} GB/s on ${where}`);
}
