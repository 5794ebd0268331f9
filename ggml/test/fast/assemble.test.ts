import { afterAll, beforeAll, expect, test } from 'vitest';
import { GgmlError, liveObjects, type Backend, type Context } from '@sled-tts/ggml';
import { ggml, noise } from '../support.js';

let backend: Backend;
beforeAll(() => void (backend = ggml.backend('cpu', { threads: 1 })));
afterAll(() => backend.free());

const [K, N, M] = [64, 32, 3];

/** norm(silu(w x + row 1 of x, shifted and turned twice)): weights, inputs, views, floats and integers among the arguments. */
function build(context: Context) {
  const { mulMat, add, view, transpose, cont, norm, silu, scale, clamp } = context.ops;
  const w = context.tensor('f32', [K, N]);
  context.allocate(backend);
  w.set(noise(K * N, 1));
  const x = context.input('f32', [K, M]);
  const row = view(x, [N], { offset: K });
  const sum = scale(add(mulMat(w, x), row), 0.5, -0.25);
  const turned = cont(transpose(cont(transpose(clamp(sum, -3, 3)))));
  const result = norm(silu(turned), 1e-5).output();
  const graph = context.graph();
  graph.expand(result);
  return { graph, x, result };
}

type Built = ReturnType<typeof build>;

function computed({ graph, x, result }: Built) {
  const zeros = x.get();
  x.set(noise(K * M, 2));
  graph.computeSync();
  return { zeros, values: result.get() };
}

test('a graph that is allocated on a worker thread is the one that is allocated here', async () => {
  const before = liveObjects();
  const [here, there] = [ggml.context(), ggml.context()];
  const [built, builtThere] = [build(here), build(there)];
  built.graph.allocate(backend);
  await builtThere.graph.allocateAsync(backend);
  const [expected, got] = [computed(built), computed(builtThere)];
  expect(got).toEqual(expected);
  expect(expected.zeros).toEqual(new Float32Array(K * M));
  expect(Math.max(...(expected.values as Float32Array))).toBeGreaterThan(1);
  expect(builtThere.graph.bytes).toBe(built.graph.bytes);
  for (const { graph } of [built, builtThere]) graph.free();
  for (const context of [here, there]) context.free();
  expect(liveObjects()).toEqual(before);
});

test('tensors that were made before, here or in another context, are part of it', async () => {
  const [inputs, context] = [ggml.context(), ggml.context()];
  const a = inputs.input('f32', [4]);
  const doubled = context.ops.add(a, a);
  expect(doubled.pointer).toBeGreaterThan(0n);
  const result = context.ops.add(doubled, a).output();
  const graph = context.graph();
  graph.expand(result);
  await graph.allocateAsync(backend);
  a.set(Float32Array.of(1, 2, 3, 4));
  await graph.compute();
  expect([...(result.get() as Float32Array)]).toEqual([3, 6, 9, 12]);
  for (const owner of [graph, context, inputs]) owner.free();
});

test('while it is allocated nothing of it is freed, expanded or allocated again', async () => {
  const context = ggml.context();
  const { graph, x } = build(context);
  const allocating = graph.allocateAsync(backend);
  expect(() => graph.free()).toThrow(/in use by a computation/);
  expect(() => context.free()).toThrow(/in use by a computation/);
  expect(() => graph.expand(context.ops.neg(x))).toThrow(/allocated already/);
  await expect(graph.allocateAsync(backend)).rejects.toThrow(/allocated already/);
  await allocating;
  graph.free();
  context.free();
});

test.each(['allocate', 'allocateAsync'] as const)(
  '%s refuses what ggml would make otherwise, cannot compute or has no memory for',
  async (allocate) => {
    const before = liveObjects();
    const attempt = async (make: (context: Context) => Parameters<ReturnType<Context['graph']>['expand']>[0]) => {
    const context = ggml.context();
    const graph = context.graph();
    graph.expand(make(context));
    const allocating = (async () => graph[allocate](backend))();
    const error = await allocating.then(() => undefined, (error: unknown) => error);
    graph.free();
    context.free();
    return error;
  }; // prettier-ignore
    const wrong = await attempt((context) => {
      const a = context.input('f32', [4]);
      return context.make('add', [a], { type: 'f32', ne: [5, 1, 1, 1] }, 'add', a, a);
    });
    expect(wrong).toBeInstanceOf(GgmlError);
    expect(String(wrong)).toMatch(/add: ggml made something else than add f32\[5, 1, 1, 1\]/);
    const unknown = await attempt((context) => {
      const [w, x] = [context.input('f32', [4, 2]), context.input('f16', [4, 1])];
      return context.make('mulMat', [w, x], { type: 'f32', ne: [2, 1, 1, 1] }, 'mul_mat', w, x);
    });
    expect(String(unknown)).toMatch(
      /CPU cannot compute mulMat f32\[2, 1, 1, 1\] from none f32\[4, 2, 1, 1\], none f16/,
    );
    const large = await attempt((context) => {
      const a = context.input('f32', [2 ** 30]);
      const parts = Array.from({ length: 3000 }, () => context.ops.neg(a));
      return parts.reduceRight((sum, part) => context.ops.add(part, sum));
    });
    expect(String(large)).toMatch(/not enough memory/);
    expect(liveObjects()).toEqual(before);
  },
);
