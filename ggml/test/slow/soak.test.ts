import { expect, test } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import { runChild } from '../child.js';
import { ggml, noise } from '../support.js';

test('a thousand rounds of random calls never end the process, whatever the number of threads', async () => {
  // Threads spin while they wait: on a busy machine a round with two takes as long as many with one.
  for (const [seed, rounds, threads] of [
    ['100000', '1000', '1'],
    ['200000', '30', '2'],
  ]) {
    const { code, signal, output } = await runChild('random-calls.ts', [seed, rounds, threads]);
    expect({ code, signal }, output.slice(-2000)).toEqual({ code: 0, signal: null });
    expect(JSON.parse(output.trim().split('\n').at(-1) ?? '{}').unclear).toEqual([]);
  }
}, 900_000);

test('memory does not grow over thousands of graphs and computations', async () => {
  const backend = ggml.backend('cpu', { threads: 1 });
  const weights = ggml.context();
  const w = weights.tensor('q4_0', [256, 256]);
  weights.allocate(backend, { interleave: true });
  w.set(noise(256 * 256));
  const input = noise(256);
  const before = liveObjects();
  const once = async () => {
    const context = ggml.context();
    const x = context.input('f32', [256]);
    let y = x;
    for (let i = 0; i < 50; i++) y = context.ops.silu(context.ops.mulMat(w, y));
    const graph = context.graph();
    graph.expand(y.output());
    graph.allocate(backend);
    for (let i = 0; i < 5; i++) {
      x.set(input);
      await graph.compute();
      y.get();
    }
    graph.free();
    context.free();
  };
  for (let i = 0; i < 200; i++) await once();
  const start = process.memoryUsage.rss();
  for (let i = 0; i < 1500; i++) await once();
  expect(liveObjects()).toEqual(before);
  // 1,500 leaked contexts of 128 tensors alone would be 70 MB.
  expect(process.memoryUsage.rss() - start).toBeLessThan(40e6);
  weights.free();
  backend.free();
}, 900_000);
