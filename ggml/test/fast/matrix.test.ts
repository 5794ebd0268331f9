import { afterAll, expect, test } from 'vitest';
import { difference, evaluate, ggml, noise } from '../support.js';

const backend = ggml.backend('cpu', { threads: 1 });
afterAll(() => backend.free());

const range = (length: number) => Array.from({ length }, (_, i) => i);
const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

test('mulMat multiplies rows by rows and repeats the weight over higher dimensions', () => {
  const [K, N, M, B] = [6, 3, 4, 2];
  const w = noise(K * N);
  const x = noise(K * M * B, 2);
  const expected = range(B * M).flatMap((m) => range(N).map((n) => sum(range(K).map((k) => w[n * K + k] * x[m * K + k])))); // prettier-ignore
  const inputs = [
    { ne: [K, N], data: w },
    { ne: [K, M, B], data: x },
  ];
  const { ne, values } = evaluate(backend, inputs, ({ ops }, a, b) => ops.mulMat(a, b));
  expect(ne).toEqual([N, M, B, 1]);
  expect(difference(values, expected)).toBeLessThan(1e-5);
});

test('softMax scales, adds its mask and normalises each row', () => {
  const a = noise(12);
  const mask = Float32Array.from(range(12), (i) => (i % 4 === 3 ? -Infinity : 0.1 * i));
  const inputs = [
    { ne: [4, 3], data: a },
    { ne: [4, 3], data: mask },
  ];
  const { values } = evaluate(backend, inputs, ({ ops }, x, m) => ops.softMax(x, { mask: m, scale: 2 }));
  const weights = a.map((x, i) => Math.exp(2 * x + mask[i]));
  const expected = weights.map((e, i) => e / sum([...weights.subarray(i - (i % 4), i - (i % 4) + 4)]));
  expect(difference(values, expected)).toBeLessThan(1e-6);
});

test('rope rotates halves (neox) or neighbours (normal) by position', () => {
  const [D, H, T] = [8, 2, 3];
  const data = noise(D * H * T);
  for (const mode of ['neox', 'normal'] as const) {
    const expected = Float32Array.from(data);
    for (const t of range(T))
      for (const h of range(H))
        for (const i of range(D / 2)) {
          const angle = (5 + t) * 100 ** ((-2 * i) / D);
          const start = (t * H + h) * D;
          const [p, q] = mode === 'neox' ? [start + i, start + i + D / 2] : [start + 2 * i, start + 2 * i + 1];
          expected[p] = data[p] * Math.cos(angle) - data[q] * Math.sin(angle);
          expected[q] = data[p] * Math.sin(angle) + data[q] * Math.cos(angle);
        }
    const context = ggml.context();
    const a = context.input('f32', [D, H, T]);
    const positions = context.input('i32', [T]);
    const y = context.ops.rope(a, positions, { mode, theta: 100 }).output();
    const graph = context.graph();
    graph.expand(y);
    graph.allocate(backend);
    a.set(data);
    positions.set(Int32Array.of(5, 6, 7));
    graph.computeSync();
    expect(difference(y.get() as Float32Array, expected)).toBeLessThan(1e-5);
    graph.free();
    context.free();
  }
});

test('getRows looks rows up in float and quantized tables', () => {
  const data = noise(32 * 5);
  for (const type of ['f32', 'f16', 'bf16', 'q8_0'] as const) {
    const context = ggml.context();
    const table = context.tensor(type, [32, 5]);
    context.allocate(backend);
    table.set(data);
    const rows = context.input('i32', [3]);
    const y = context.ops.getRows(table, rows).output();
    const graph = context.graph();
    graph.expand(y);
    graph.allocate(backend);
    rows.set(Int32Array.of(4, 0, 4));
    graph.computeSync();
    const expected = [4, 0, 4].flatMap((row) => [...data.subarray(row * 32, row * 32 + 32)]);
    expect(difference(y.get() as Float32Array, expected)).toBeLessThan(type === 'f32' ? 1e-9 : 0.01);
    graph.free();
    context.free();
  }
});

test('views, permutations and copies see the same memory', () => {
  const data = Float32Array.from(range(24), (i) => i);
  const at = (build: Parameters<typeof evaluate>[2]) => evaluate(backend, [{ ne: [4, 3, 2], data }], build);
  const column = at(({ ops }, a) => ops.cont(ops.view(a, [1, 3], { offset: 2, strides: [4] })));
  expect([...column.values]).toEqual([2, 6, 10]);
  const turned = at(({ ops }, a) => ops.cont(ops.permute(a, 1, 0, 2, 3)));
  expect(turned.ne).toEqual([3, 4, 2, 1]);
  expect([...turned.values.subarray(0, 6)]).toEqual([0, 4, 8, 1, 5, 9]);
  const transposed = at(({ ops }, a) => ops.cont(ops.transpose(a)));
  expect([...transposed.values]).toEqual([...turned.values]);
  const reshaped = at(({ ops }, a) => ops.reshape(a, 6, 4));
  expect(reshaped.ne).toEqual([6, 4, 1, 1]);
  const joined = at(({ ops }, a) => ops.concat(a, ops.scale(a, -1), 2));
  expect(joined.ne).toEqual([4, 3, 4, 1]);
  expect([...joined.values.subarray(22, 27)]).toEqual([22, 23, -0, -1, -2]);
  const half = at(({ ops }, a) => ops.cast(ops.cast(a, 'f16'), 'f32'));
  expect([...half.values]).toEqual([...data]);
});

test('a key-value cache written by setRows gives the attention of all rows at once', () => {
  const [D, H, T] = [16, 2, 7];
  const q = noise(D * H * T);
  const k = noise(D * H * T, 2);
  const v = noise(D * H * T, 3);
  const expected = attend(q, k, v, [D, H, T]);
  const context = ggml.context();
  const cacheK = context.tensor('f16', [D * H, T + 1]);
  const cacheV = context.tensor('f16', [D * H, T + 1]);
  context.allocate(backend);
  const [qi, ki, vi] = ['q', 'k', 'v'].map((name) => context.input('f32', [D * H, 1], name));
  const row = context.input('i32', [1]);
  const mask = context.input('f16', [T + 1, 1]);
  const { ops } = context;
  const graph = context.graph();
  graph.expand(ops.setRows(cacheK, ki, row));
  graph.expand(ops.setRows(cacheV, vi, row));
  const heads = (cache: typeof cacheK) => ops.permute(ops.reshape(cache, D, H, T + 1), 0, 2, 1, 3);
  const query = ops.permute(ops.reshape(qi, D, H, 1), 0, 2, 1, 3);
  const y = ops.flashAttention(query, heads(cacheK), heads(cacheV), { mask, scale: 1 / Math.sqrt(D) }).output();
  graph.expand(y);
  graph.allocate(backend);
  for (const t of range(T)) {
    const part = (all: Float32Array) => all.subarray(t * D * H, (t + 1) * D * H);
    qi.set(part(q));
    ki.set(part(k));
    vi.set(part(v));
    row.set(Int32Array.of(t));
    mask.set(Float32Array.from(range(T + 1), (i) => (i <= t ? 0 : -Infinity)));
    graph.computeSync();
    expect(difference(y.get() as Float32Array, part(expected))).toBeLessThan(2e-3);
  }
  graph.free();
  context.free();
});

/** Causal attention by its definition, [T, H, D]. */
function attend(q: Float32Array, k: Float32Array, v: Float32Array, [D, H, T]: number[]): Float32Array {
  const out = new Float32Array(D * H * T);
  for (const t of range(T))
    for (const h of range(H)) {
      const head = (all: Float32Array, time: number) => all.subarray((time * H + h) * D, (time * H + h + 1) * D);
      const scores = range(t + 1).map((s) =>
        Math.exp(sum([...head(q, t)].map((x, i) => x * head(k, s)[i])) / Math.sqrt(D)),
      );
      for (const i of range(D)) {
        out[(t * H + h) * D + i] = sum(scores.map((score, s) => score * head(v, s)[i])) / sum(scores);
      }
    }
  return out;
}
