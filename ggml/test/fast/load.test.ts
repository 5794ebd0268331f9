import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { GgmlError, liveObjects, openGguf, writeGguf } from '@sled-tts/ggml';
import { difference, ggml, noise } from '../support.js';

const directory = mkdtempSync(path.join(tmpdir(), 'gguf-load-'));
afterAll(() => rmSync(directory, { recursive: true }));
const [K, N] = [256, 16];
const values = noise(K * N);
const TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_K'] as const;
const packed = (type: (typeof TYPES)[number]) => (type === 'f32' ? values : ggml.quantize(type, values, K));

async function write(name: string): Promise<string> {
  const file = path.join(directory, name);
  const tensors = TYPES.map((type) => ({ name: type, type, ne: [K, N], data: async () => packed(type) }));
  await writeGguf(ggml, file, { metadata: {}, tensors });
  return file;
}

test('weights in a mapped file multiply as set ones do, interleaved or not, after the file is gone', async () => {
  const before = liveObjects();
  const file = await write('whole.gguf');
  const backend = ggml.backend('cpu', { threads: 1 });
  const gguf = await openGguf(ggml, file);
  const [loaded, set] = [ggml.context(), ggml.context()];
  const made = [loaded, set].map((context) => TYPES.map((type) => context.tensor(type, [K, N], type)));
  await loaded.load(backend, gguf, { interleave: true });
  set.allocate(backend, { interleave: true });
  TYPES.forEach((type, i) => made[1][i].set(packed(type)));
  await gguf.close();
  rmSync(file);
  const context = ggml.context();
  const graph = context.graph();
  const x = context.input('f32', [K, 2]);
  const products = made.map((tensors) => tensors.map((w) => graph.expand(context.ops.mulMat(w, x).output())));
  graph.allocate(backend);
  x.set(noise(K * 2, 7));
  graph.computeSync();
  TYPES.forEach((type, i) =>
    expect(difference(products[0][i].get() as Float32Array, products[1][i].get() as Float32Array), type).toBe(0),
  );
  // No kernel interleaves f16: it lies in the file.
  const mapped = made[0][TYPES.indexOf('f16')];
  expect(() => mapped.set(values)).toThrow(/mapped file, which is not written to/);
  expect(mapped.getBytes()).toEqual(packed('f16'));
  for (const owner of [graph, context, loaded, set, backend]) owner.free();
  expect(liveObjects()).toEqual(before);
});

test('a tensor that the file lacks or holds otherwise is refused before memory is taken', async () => {
  const gguf = await openGguf(ggml, await write('refused.gguf'));
  const backend = ggml.backend('cpu', { threads: 1 });
  for (const [name, type, ne, message] of [
    ['nothing', 'f32', [K, N], /no tensor "nothing"/],
    ['f16', 'f32', [K, N], /expected f16 f32\[256, 16, 1, 1\], got f16\[256, 16, 1, 1\]/],
    ['f32', 'f32', [N, K], /expected f32 f32\[16, 256, 1, 1\], got/],
  ] as const) {
    const context = ggml.context();
    context.tensor(type, ne, name);
    await expect(context.load(backend, gguf)).rejects.toThrow(message);
    await expect(context.load(backend, gguf)).rejects.toBeInstanceOf(GgmlError);
    context.free();
  }
  backend.free();
  await gguf.close();
});

test('data that turns out to be of another length leaves no file behind', async () => {
  const file = path.join(directory, 'short.gguf');
  const tensors = [{ name: 'w', type: 'f32', ne: [K, N], data: async () => values.subarray(1) }] as const;
  await expect(writeGguf(ggml, file, { metadata: {}, tensors })).rejects.toThrow(/expected 16384 bytes for "w"/);
  await expect(openGguf(ggml, file)).rejects.toThrow(/ENOENT/);
});
