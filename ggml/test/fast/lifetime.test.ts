import { afterAll, expect, test } from 'vitest';
import { type Backend, type Context, GgmlError, type Graph, liveObjects, type Tensor } from '@sled-tts/ggml';
import { ggml, noise } from '../support.js';

const backend: Backend = ggml.backend('cpu', { threads: 1 });
afterAll(() => backend.free());

interface Setup {
  weights: Context;
  context: Context;
  w: Tensor;
  x: Tensor;
  y: Tensor;
  graph: Graph;
}

/** y = w x, `repeats` times over, so that a computation takes as long as wanted. */
function setup(width = 64, repeats = 1, on: Backend = backend): Setup {
  const weights = ggml.context();
  const w = weights.tensor('f32', [width, width], 'w');
  weights.allocate(on);
  w.set(noise(width * width).map((value) => value / width));
  const context = ggml.context();
  const x = context.input('f32', [width, 8], 'x');
  let y = context.ops.mulMat(w, x);
  for (let i = 1; i < repeats; i++) y = context.ops.mulMat(w, y);
  const graph = context.graph();
  graph.expand(y.output());
  graph.allocate(on);
  x.set(noise(width * 8, 2));
  return { weights, context, w, x, y, graph };
}

function freeAll({ graph, context, weights }: Setup): void {
  for (const owner of [graph, context, weights]) owner.free();
}

test('a computation leaves the event loop free', async () => {
  const all = setup(512, 400);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const start = performance.now();
  await all.graph.compute();
  const elapsed = performance.now() - start;
  clearInterval(timer);
  expect(elapsed).toBeGreaterThan(20);
  expect(ticks).toBeGreaterThan(5);
  freeAll(all);
});

test('everything that a running computation touches is locked until it ends', async () => {
  const all = setup(256, 200);
  const running = all.graph.compute();
  for (const call of [
    () => all.x.set(noise(256 * 8)),
    () => all.w.set(noise(256 * 256)),
    () => all.y.get(),
    () => all.graph.free(),
    () => all.context.free(),
    () => all.weights.free(),
    () => all.graph.computeSync(),
    () => backend.free(),
    () => backend.setThreads(1),
  ]) {
    expect(call).toThrow(/in use by a computation; await it first/);
  }
  await running;
  expect(all.y.get()).toHaveLength(256 * 8);
  freeAll(all);
});

test('computations of one backend run one after the other, in the order of the calls', async () => {
  const [a, b] = [setup(256, 100), setup(64, 1)];
  const order: string[] = [];
  await Promise.all([
    a.graph.compute().then(() => order.push('a1')),
    b.graph.compute().then(() => order.push('b')),
    a.graph.compute().then(() => order.push('a2')),
  ]);
  expect(order).toEqual(['a1', 'b', 'a2']);
  freeAll(a);
  freeAll(b);
});

test('an aborted signal stops a running computation, and the graph can be computed again', async () => {
  const all = setup(512, 500);
  await all.graph.compute();
  const expected = all.y.get();
  const controller = new AbortController();
  const start = performance.now();
  const running = all.graph.compute({ signal: controller.signal });
  controller.abort(new Error('enough')); // it runs on its thread by now
  await expect(running).rejects.toThrow('enough');
  const stopped = performance.now() - start;
  await expect(all.graph.compute({ signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  const again = performance.now();
  await all.graph.compute();
  expect(stopped).toBeLessThan(performance.now() - again);
  expect(all.y.get()).toEqual(expected);
  freeAll(all);
});

test.each<[string, (all: Setup) => void]>([
  ['the weights', (all) => all.weights.free()],
  ['the context', (all) => all.context.free()],
  ['the graph', (all) => all.graph.free()],
])('computing after %s were freed is an error', async (_, free) => {
  const all = setup();
  free(all);
  await expect(all.graph.compute()).rejects.toThrow(/was freed/);
  expect(() => all.graph.computeSync()).toThrow(GgmlError);
  freeAll(all);
});

test('tensors, contexts and backends refuse to be used after they were freed', () => {
  const all = setup();
  const other = ggml.backend('cpu', { threads: 1 });
  other.free();
  freeAll(all);
  freeAll(all); // a second time does nothing
  const context = ggml.context();
  for (const call of [
    () => all.x.set(noise(64 * 8)),
    () => all.y.get(),
    () => all.w.get(),
    () => all.w.named('v'),
    () => all.y.output(),
    () => all.context.ops.add(all.x, all.x),
    () => context.ops.silu(all.x),
    () => all.context.tensor('f32', [1]),
    () => all.context.graph(),
    () => all.weights.allocate(backend),
    () => context.allocate(other),
    () => other.setThreads(1),
    () => context.graph().expand(all.y),
  ]) {
    expect(call).toThrow(/was freed/);
  }
  context.free();
});

test('a graph on a backend that was freed is not computed', async () => {
  const other = ggml.backend('cpu', { threads: 1 });
  const all = setup(64, 1, other);
  other.free();
  await expect(all.graph.compute()).rejects.toThrow('this backend was freed');
  freeAll(all);
});

test('operations of one context belong to one graph', () => {
  const all = setup();
  const second = all.context.graph();
  second.expand(all.y);
  expect(() => second.allocate(backend)).toThrow(/belongs to another graph/);
  expect(() => all.graph.expand(all.x)).toThrow(/allocated already/);
  expect(() => all.graph.allocate(backend)).toThrow(/allocated already/);
  second.free();
  freeAll(all);
});

test('a result that is no output cannot be read, and cannot become one later', () => {
  const context = ggml.context();
  const x = context.input('f32', [4]);
  const hidden = context.ops.exp(x);
  const graph = context.graph();
  graph.expand(context.ops.neg(hidden).output());
  graph.allocate(backend);
  expect(() => hidden.get()).toThrow(/is no output/);
  expect(() => hidden.output()).toThrow(/mark outputs before/);
  expect(() => hidden.set(new Float32Array(4))).toThrow(/is computed/);
  graph.free();
  context.free();
});

test('inputs are zero at first and keep their values over computations', () => {
  const context = ggml.context();
  const x = context.input('f32', [64]);
  const y = context.ops.neg(context.ops.exp(context.ops.scale(x, 1))).output();
  const graph = context.graph();
  graph.expand(y);
  graph.allocate(backend);
  graph.computeSync();
  expect(new Set(y.get() as Float32Array)).toEqual(new Set([-1]));
  x.set(new Float32Array(64).fill(1));
  for (let i = 0; i < 3; i++) graph.computeSync();
  expect(x.get()).toEqual(new Float32Array(64).fill(1));
  expect((y.get() as Float32Array)[63]).toBeCloseTo(-Math.E, 5);
  graph.free();
  context.free();
});

test('nothing stays alive after a hundred graphs', () => {
  const before = liveObjects();
  for (let i = 0; i < 100; i++) {
    const all = setup(8);
    all.graph.computeSync();
    freeAll(all);
  }
  expect(liveObjects()).toEqual(before);
});
