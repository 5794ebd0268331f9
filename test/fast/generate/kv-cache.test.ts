import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGgml, type Backend, type Ggml, type Tensor } from '@sled-tts/ggml';
import { KvCache, type CacheType } from '../../../src/generate/kv-cache.js';
import { openSession } from '../../../src/generate/open-session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { collectFrames, EXACT, goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';

const TYPES: CacheType[] = ['f32', 'f16', 'q8_0'];
/** Heads of 64, two blocks of q8_0. */
const config = { ...goldenConfig('even-stream'), width: 128, heads: 2 };
const C = config.width;

let ggml: Ggml;
let backend: Backend;
beforeAll(() => {
  ggml = openGgml();
  backend = ggml.backend('cpu', { threads: 1 });
});
afterAll(() => backend.free());

const row = (tensor: Tensor, number: number) => (tensor.get() as Float32Array).subarray(number * C, (number + 1) * C);

/** A row whose numbers all tell which it is. */
const marked = (layer: number, number: number) =>
  Float32Array.from({ length: C }, (_, c) => Math.sin(1 + layer * 100 + number + c / 7));

/** Writes a row of every layer's keys, and its negative to the values. */
function write(cache: KvCache, numbers: readonly number[]): void {
  for (const [layer, keys] of cache.keys.entries()) {
    const context = ggml.context();
    const graph = context.graph();
    const values = context.input('f32', [C, numbers.length]);
    const rows = context.input('i32', [numbers.length]);
    const { setRows, neg } = context.ops;
    graph.expand(setRows(keys, values, rows));
    graph.expand(setRows(cache.values[layer], neg(values), rows));
    graph.allocate(backend);
    values.set(Float32Array.from(numbers.flatMap((number) => [...marked(layer, number)])));
    rows.set(Int32Array.from(numbers));
    graph.computeSync();
    graph.free();
    context.free();
  }
}

test.each(TYPES)('%s: rows are where they were in a larger cache, and where they are put back', async (type) => {
  const allowed = { f32: 0, f16: 1e-3, q8_0: 0.01 }[type as 'f32' | 'f16' | 'q8_0'];
  const [slots, positions] = [3, 5];
  const small = await new KvCache(ggml, backend, config, type, slots, positions).allocate();
  write(small, [small.rowOf(0, 0), small.rowOf(0, 4), small.rowOf(2, 3), small.rowOf(1, 0), small.rowOf(1, 1)]);
  const large = await new KvCache(ggml, backend, config, type, 4, 9).allocate();
  expect(large.bytes).toBeGreaterThan(2 * small.bytes);
  await large.copyFrom(small, ggml);
  const saved = await large.save(1, 2, ggml);
  await large.restore(saved, 3, ggml);
  for (const [layer, keys] of large.keys.entries()) {
    for (const [slot, position, from = slot] of [
      [0, 0],
      [0, 4],
      [2, 3],
      [1, 0],
      [1, 1],
      [3, 0, 1],
      [3, 1, 1],
    ] as const) {
      // prettier-ignore
      const [was, is] = [small.rowOf(from, position), large.rowOf(slot, position)];
      expect(largestDifference(row(keys, is), marked(layer, was))).toBeLessThanOrEqual(allowed);
      expect(largestDifference(row(large.values[layer], is), marked(layer, was).map((x) => -x))).toBeLessThanOrEqual(allowed); // prettier-ignore
      expect([...row(keys, is)]).toEqual([...row(small.keys[layer], was)]);
    }
    expect(row(keys, large.rowOf(2, 8)).every((x) => x === 0)).toBe(true);
  }
  await saved.free();
  await small.free();
  await large.free();
});

/** Frames of a text that is left open, with keys and values of a type, and what an alignment head saw before each. */
async function take(cacheType: CacheType, frames: number) {
  const watched = { ...config, maxPositions: 4096, alignmentHeads: [[0, 1]] as [number, number][] };
  const session = await openSession(watched, hashedCheckpoint(watched, new Float32Array(C)), { ...EXACT, cacheType });
  const queue = new TokenQueue();
  queue.push([0, ...Array.from({ length: 430 }, (_, i) => 4 + ((i * 7) % 36)), 2]);
  const attention: Float32Array[] = [];
  const onAttention = (weights: Float32Array) => attention.push(weights);
  const options = { noise: new TorchRandom(3), guidanceScale: 2, maxFrames: frames, onAttention };
  const taken = await collectFrames(session, watched, queue, options);
  await session.free();
  return { frames: taken.frames, attention };
}

test('keys and values in eight bits draw nearly the same frames, also once the cache has grown', async () => {
  const [exact, rounded] = [await take('f32', 600), await take('q8_0', 600)];
  expect(rounded.frames).toHaveLength(600);
  const size = Math.max(...exact.frames[0].map(Math.abs));
  const errors = rounded.frames.map((frame, i) => largestDifference(frame, exact.frames[i]) / size);
  expect(errors[0]).toBeGreaterThan(0);
  expect(errors[0]).toBeLessThan(0.02);
  expect(Math.max(...errors)).toBeLessThan(0.2);
  rounded.attention.forEach((weights, t) => expect(largestDifference(weights, exact.attention[t])).toBeLessThan(0.05));
});
