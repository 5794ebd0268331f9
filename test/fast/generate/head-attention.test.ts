import { expect, test } from 'vitest';
import { openSession } from '../../../src/generate/open-session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import type { SledConfig } from '../../../src/model/config.js';
import { collectFrames, EXACT, goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';
import { attendWithTorch } from './whole-sequence.js';

const TEXT = [0, ...Array.from({ length: 60 }, (_, i) => 4 + ((i * 5) % 30)), 2];
const HEADS = [
  [0, 1],
  [1, 0],
] as const;

/** Frames of a text that is left open, and the attention of the config's heads before each. */
async function take(config: SledConfig, { watched = true, cacheType = 'f32' as 'f32' | 'f16' } = {}) {
  const session = await openSession(config, checkpointOf(config), { ...EXACT, cacheType });
  const queue = new TokenQueue();
  queue.push(TEXT);
  const attention: Float32Array[] = [];
  const onAttention = (weights: Float32Array) => attention.push(weights);
  const options = { noise: new TorchRandom(3), guidanceScale: 2, maxFrames: 30, ...(watched && { onAttention }) };
  const { frames } = await collectFrames(session, config, queue, options);
  await session.free();
  return { frames, attention };
}

const checkpointOf = (config: SledConfig) => hashedCheckpoint(config, new Float32Array(config.width));

test('the attention of each alignment head to the text read is what libtorch computes', async () => {
  for (const head of HEADS) {
    const config = { ...goldenConfig('even-stream'), alignmentHeads: [head] };
    const { frames, attention } = await take(config);
    const expected = attendWithTorch(config, checkpointOf(config), { text: TEXT, frames, head });
    expect(attention).toHaveLength(30);
    attention.forEach((weights, t) => expect(largestDifference(weights, expected[t]), `frame ${t}`).toBeLessThan(1e-4));
  }
});

test('several heads are averaged, and a cache of half precision serves as well', async () => {
  const of = async (heads: SledConfig['alignmentHeads'], cacheType?: 'f16') =>
    (await take({ ...goldenConfig('even-stream'), alignmentHeads: heads }, { cacheType })).attention;
  const [first, second, both] = [await of([HEADS[0]]), await of([HEADS[1]]), await of(HEADS)];
  both.forEach((weights, t) => {
    const mean = weights.map((_, i) => (first[t][i] + second[t][i]) / 2);
    expect(largestDifference(weights, mean)).toBeLessThan(1e-6);
    expect(weights.reduce((sum, weight) => sum + weight)).toBeCloseTo(1, 5);
  });
  const half = await of(HEADS, 'f16');
  half.forEach((weights, t) => expect(largestDifference(weights, both[t])).toBeLessThan(0.01));
});

test('the frames are the same to the bit whether the heads are read or not', async () => {
  const config = { ...goldenConfig('odd-stream'), alignmentHeads: HEADS };
  expect((await take(config)).frames).toEqual((await take(config, { watched: false })).frames);
});

test('a model without alignment heads tells nothing', async () => {
  expect((await take(goldenConfig('even-stream'))).attention).toEqual([]);
});
