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
