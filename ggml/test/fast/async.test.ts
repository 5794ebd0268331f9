import { expect, test } from 'vitest';
import { GgmlError, liveObjects, openGgml, openGgmlAsync, ShapeError, type NativeCall } from '@sled-tts/ggml';
import { difference, noise } from '../support.js';
import { watched } from '../../src/watch.js';

const [K, N] = [256, 64];
const values = noise(K * N);

test('two that open ggml at once get the same one, and nobody opens it meanwhile in his own thread', async () => {
  const opening = [openGgmlAsync(), openGgmlAsync()];
  const [first, second] = await Promise.all(opening);
  expect(first).toBe(second);
  expect(openGgml()).toBe(first);
  expect(() => openGgml({ onCall: () => undefined })).toThrow(/open already; give onCall to the first/);
});

test('a function is watched by a wrapper that reports name, arguments and time, errors too; unwatched it is itself', () => {
  const calls: NativeCall[] = [];
  const half = Object.assign((x: number) => {
    if (x < 0) throw new RangeError('negative');
    return x / 2;
  }, { async: 'worker' }); // prettier-ignore
  expect(watched('half', half, undefined)).toBe(half);
  const watching = watched('half', half, (call) => calls.push(call));
  expect(watching(8)).toBe(4);
  expect(() => watching(-1)).toThrow('negative');
  expect(watching.async).toBe('worker');
  expect(calls.map(({ name, args }) => [name, ...args])).toEqual([['half', 8], ['half', -1]]); // prettier-ignore
  expect(calls.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
});

test('weights written on a worker thread are those written in this one, interleaved or not, whole or in parts', async () => {
  const ggml = await openGgmlAsync();
  const backend = await ggml.backendAsync('cpu', { threads: 1 });
  for (const interleave of [false, true]) {
    for (const type of ['f32', 'f16', 'q8_0', 'q4_K'] as const) {
      const context = ggml.context();
      const [here, there] = [context.tensor(type, [K, N]), context.tensor(type, [K, N])];
      await context.allocateAsync(backend, { interleave, zero: false });
      const x = context.input('f32', [K, 2]);
      const products = [here, there].map((w) => context.ops.mulMat(w, x).output());
      const graph = context.graph();
      for (const product of products) graph.expand(product);
      graph.allocate(backend);
      here.set(values);
      if (here.storage?.plain) {
        await there.setAsync(values.subarray(0, K * 3), 0);
        await there.setAsync(values.subarray(K * 3), K * 3);
      } else {
        await expect(there.setAsync(values.subarray(0, K * 3), 0)).rejects.toThrow(/written whole only/);
        await there.setAsync(values);
      }
      x.set(noise(2 * K, 5));
      graph.computeSync();
      expect(products[1].get(), `${type} ${interleave}`).toEqual(products[0].get());
      graph.free();
      await context.freeAsync();
    }
  }
  backend.free();
});

test('what a worker thread writes to is locked until it is done, and a wrong length is refused', async () => {
  const ggml = await openGgmlAsync();
  const backend = ggml.backend('cpu', { threads: 1 });
  const context = ggml.context();
  const w = context.tensor('f32', [K, N], 'w');
  await context.allocateAsync(backend);
  expect((w.get() as Float32Array).every((x) => x === 0)).toBe(true);
  const writing = w.setAsync(values);
  expect(() => w.get()).toThrow(/in use/);
  await expect(context.freeAsync()).rejects.toThrow(/in use/);
  await writing;
  expect(w.get()).toEqual(values);
  await expect(w.setAsync(noise(3))).rejects.toThrow(ShapeError);
  expect(w.get()).toEqual(values); // a refused write leaves no lock
  await context.freeAsync();
  backend.free();
});

test('memory that is given back on a worker thread counts as freed at once, and only once', async () => {
  const ggml = await openGgmlAsync();
  const before = liveObjects();
  const backend = ggml.backend('cpu', { threads: 1 });
  const context = ggml.context();
  const w = context.tensor('f32', [K, N]);
  await context.allocateAsync(backend);
  const freeing = context.freeAsync();
  expect(liveObjects().buffer).toBe(before.buffer);
  expect(() => w.get()).toThrow(GgmlError);
  await Promise.all([freeing, context.freeAsync()]);
  context.free();
  backend.free();
  expect(liveObjects()).toEqual(before);
});

test('unpacking on a worker thread gives the numbers that it gives in this one', async () => {
  const ggml = await openGgmlAsync();
  for (const type of ['f16', 'bf16', 'q8_0', 'q4_K'] as const) {
    const packed = ggml.quantize(type, values, K);
    const unpacked = await ggml.dequantizeAsync(type, packed, values.length);
    expect(unpacked).toEqual(ggml.dequantize(type, packed, values.length));
    expect(difference(unpacked, values)).toBeLessThan(0.2);
  }
  const bytes = new Uint8Array(values.buffer);
  expect((await ggml.dequantizeAsync('f32', bytes, values.length)).buffer).toBe(bytes.buffer);
  const odd = new Uint8Array(bytes.length + 1).subarray(1);
  odd.set(bytes);
  expect(await ggml.dequantizeAsync('f32', odd, values.length)).toEqual(values);
  await expect(ggml.dequantizeAsync('f16', bytes, values.length)).rejects.toThrow(ShapeError);
});
