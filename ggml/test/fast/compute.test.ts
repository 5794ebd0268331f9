import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Backend, type Ggml, graphComputations, liveObjects, openGgml } from '@sled-tts/ggml';

let ggml: Ggml;
let backend: Backend;
beforeAll(() => {
  ggml = openGgml();
  backend = ggml.backend('cpu', { threads: 1 });
});
afterAll(() => backend.free());

test('multiplies by a weight and runs the same graph again with other inputs', async () => {
  const weights = ggml.context();
  const w = weights.tensor('f32', [2, 3], 'w');
  weights.allocate(backend);
  w.set(Float32Array.of(1, 2, 3, 4, 5, 6));
  const context = ggml.context();
  const x = context.input('f32', [2], 'x');
  const y = context.ops.mulMat(w, x).output();
  const graph = context.graph();
  graph.expand(y);
  graph.allocate(backend);
  const before = graphComputations();
  x.set(Float32Array.of(1, 1));
  await graph.compute();
  expect([...(y.get() as Float32Array)]).toEqual([3, 7, 11]);
  x.set(Float32Array.of(1, 0));
  graph.computeSync();
  expect([...(y.get() as Float32Array)]).toEqual([1, 3, 5]);
  expect(graphComputations() - before).toBe(2);
  for (const owner of [graph, context, weights]) owner.free();
  expect(liveObjects()).toMatchObject({ context: 0, buffer: 0, graph: 0 });
});

test('a graph may be thousands of operations deep, as an unrolled LSTM is', () => {
  const context = ggml.context();
  const x = context.input('f32', [2]);
  let y = x;
  for (let i = 0; i < 20_000; i++) y = context.ops.scale(y, 1, 1);
  const graph = context.graph();
  graph.expand(y.output());
  graph.allocate(backend);
  graph.computeSync();
  expect(y.get()).toEqual(Float32Array.of(20_000, 20_000));
  graph.free();
  context.free();
});

test('operations that write take their place in the order of the graph', () => {
  const context = ggml.context();
  const cache = context.tensor('f32', [2, 2]);
  context.allocate(backend);
  const x = context.input('f32', [2, 1]);
  const row = context.input('i64', [1]);
  const { ops } = context;
  const graph = context.graph();
  const before = graph.expand(ops.scale(cache, 1).output());
  graph.expand(ops.setRows(cache, x, row));
  const after = graph.expand(ops.scale(cache, 1).output());
  graph.allocate(backend);
  x.set(Float32Array.of(1, 2));
  row.set(BigInt64Array.of(1n));
  graph.computeSync();
  expect(before.get()).toEqual(new Float32Array(4));
  expect(after.get()).toEqual(Float32Array.of(0, 0, 1, 2));
  expect(cache.get()).toEqual(after.get());
  graph.free();
  context.free();
});

test('devices and versions are told', () => {
  expect(ggml.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(ggml.devices().find(({ kind }) => kind === 'cpu')).toMatchObject({ name: 'CPU' });
  expect(backend.defaultBufferType.name).toBe('CPU');
  expect(() => ggml.backend('no such device')).toThrow(/expected a device of CPU \(cpu\)/);
});
