import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, test } from 'vitest';
import type { Backend, Graph, Tensor } from '@sled-tts/ggml';
import { ggml, noise } from '../support.js';

const alone = ggml.backend('cpu', { threads: 1 });
const helped = [1, 2].map(() => ggml.backend('cpu', { threads: 1, helped: true }));
afterAll(() => [alone, ...helped].forEach((one) => one.free()));

const TYPES = ['f32', 'bf16', 'q8_0', 'q4_0', 'q4_K'] as const;
const COLUMNS = 1024;
const ROWS = 1040; // worth several parts, and no multiple of one
const WEIGHTS = noise(COLUMNS * ROWS);

interface Built {
  graph: Graph;
  result: Tensor;
  free: () => void;
}

function product(on: Backend, type: (typeof TYPES)[number], columns: number): Built {
  const context = ggml.context();
  const w = context.tensor(type, [COLUMNS, ROWS]);
  context.allocate(alone, { interleave: true });
  w.set(WEIGHTS);
  const x = context.input('f32', [COLUMNS, columns]);
  const graph = context.graph();
  const result = graph.expand(context.ops.mulMat(w, x).output());
  graph.allocate(on);
  x.set(noise(COLUMNS * columns, 2));
  return { graph, result, free: () => (graph.free(), context.free()) };
}

type Heads = Record<'E' | 'T' | 'H' | 'R' | 'K', number>;

/** T queries of each of R rows, each with its own mask, over K positions. */
function attention(on: Backend, { E, T, H, R, K }: Heads): Built {
  const context = ggml.context();
  const q = context.input('f32', [E, H, T, R]);
  const [k, v] = ['k', 'v'].map((name) => context.input('f16', [E, H, K, R], name));
  const mask = context.input('f16', [K, T, 1, R]);
  const { permute, flashAttention } = context.ops;
  const [queries, keys, values] = [q, k, v].map((tensor) => permute(tensor, 0, 2, 1, 3));
  const graph = context.graph();
  const result = graph.expand(flashAttention(queries, keys, values, { mask, scale: 0.1 }).output());
  graph.allocate(on);
  [q, k, v].forEach((tensor, i) => tensor.set(noise(tensor.bytes / (i === 0 ? 4 : 2), i + 1)));
  mask.set(
    Float32Array.from({ length: K * T * R }, (_, i) => (i % K > K - 1 - (Math.floor(i / K) % 70) ? -Infinity : 0)),
  );
  return { graph, result, free: () => (graph.free(), context.free()) };
}

function valuesOf({ graph, result, free }: Built): Float32Array {
  try {
    graph.computeSync();
    return result.get() as Float32Array;
  } finally {
    free();
  }
}

const haveSameBits = (a: ArrayBufferView, b: ArrayBufferView) =>
  Buffer.compare(Buffer.from(a.buffer as ArrayBuffer), Buffer.from(b.buffer as ArrayBuffer)) === 0;

/** Threads that want processors meanwhile: the helper, which has them last, is left behind in the middle of its parts. */
async function beside<T>(count: number, work: () => T | Promise<T>): Promise<T> {
  const busy = Array.from({ length: count }, () => new Worker('for (;;);', { eval: true }));
  try {
    return await work();
  } finally {
    await Promise.all(busy.map((worker) => worker.terminate()));
  }
}

describe.runIf(alone.kernels)('with help', () => {
  test.each(TYPES)('products of %s have the same bits, whatever the number of columns', (type) => {
    for (const columns of [1, 2, 8, 64, 131])
      expect(haveSameBits(valuesOf(product(helped[0], type, columns)), valuesOf(product(alone, type, columns)))).toBe(
        true,
      );
  });

  test.each<Heads>([
    { E: 64, T: 1, H: 16, R: 2, K: 700 },
    { E: 64, T: 1, H: 32, R: 1, K: 300 },
    { E: 64, T: 64, H: 32, R: 1, K: 100 },
    { E: 32, T: 3, H: 4, R: 5, K: 90 },
  ])('attention has the same bits: $E x $H heads, $T queries of $R rows', (heads) => {
    expect(haveSameBits(valuesOf(attention(helped[0], heads)), valuesOf(attention(alone, heads)))).toBe(true);
  });

  test('results are the same while the helper is held up and two backends ask for it', async () => {
    const heads = { E: 64, T: 1, H: 16, R: 2, K: 700 };
    const expected = [
      valuesOf(product(alone, 'q4_K', 2)),
      valuesOf(product(alone, 'f32', 2)),
      valuesOf(attention(alone, heads)),
    ];
    const built = [product(helped[0], 'q4_K', 2), product(helped[1], 'f32', 2), attention(helped[0], heads)];
    try {
      await beside(3, async () => {
        for (let i = 0; i < 40; i++) {
          await Promise.all(built.map(({ graph }) => graph.compute()));
          expect(built.map(({ result }, n) => haveSameBits(result.get(), expected[n]))).toEqual([true, true, true]);
        }
      });
    } finally {
      for (const { free } of built) free();
    }
  });

  test('memory is given back once the helper has let go of it', async () => {
    const expected = valuesOf(product(alone, 'f32', 1));
    await beside(3, () => {
      for (let i = 0; i < 20; i++) expect(haveSameBits(valuesOf(product(helped[0], 'f32', 1)), expected)).toBe(true);
    });
  });

  test('a process ends well with the helper still at work', async () => {
    const script = fileURLToPath(new URL('../helped-process.mjs', import.meta.url));
    await beside(3, () => {
      for (let i = 0; i < 5; i++)
        expect(spawnSync(process.execPath, [script])).toMatchObject({ status: 0, signal: null });
    });
  });
});

test.runIf(alone.kernels)('a process has one helper, whatever its workers ask for', () => {
  const script = fileURLToPath(new URL('../helped-workers.mjs', import.meta.url));
  expect(spawnSync(process.execPath, [script], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '1\n' });
});

test('a backend has help where it was asked for and there are kernels for it', () => {
  expect(alone.helped).toBe(false);
  expect(helped[0].helped).toBe(alone.kernels !== undefined);
});
