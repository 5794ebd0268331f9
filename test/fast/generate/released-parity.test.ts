import { expect, test } from 'vitest';
import { sharedNoise } from '../../../src/generate/shared-noise.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import {
  collectFrames, framesOf, goldenCases, largestDifference, loadGolden, openGolden, runGolden,
} from './golden-cases.js'; // prettier-ignore

// Latents are of size 1; after 40 frames of float32 sums in another order they differ by about 1e-5.
const TOLERANCE = 1e-3;
const names = Object.keys(goldenCases).filter((name) => goldenCases[name].mode !== 'batch' && name !== 'stream-early');

test.each(names)('%s draws the released code’s latents for its seed', async (name) => {
  const golden = loadGolden(name);
  const session = await openGolden(golden);
  const { frames, scores, reason } = await runGolden(golden, session);
  await session.free();
  const expected = framesOf(golden.floats('latents'), golden.config.latentDim);
  // The released code keeps the frame of the step at which it stops; it is not speech.
  expect(frames).toHaveLength(expected.length - (golden.stopped ? 1 : 0));
  expect(reason).toBe(golden.stopped ? 'end' : 'maxFrames');
  frames.forEach((frame, i) => expect(largestDifference(frame, expected[i]), `frame ${i}`).toBeLessThan(TOLERANCE));
  expect(largestDifference(scores, golden.floats('scores'))).toBeLessThan(TOLERANCE);
});

test('stream-early: the released code stops while text is still to come, ours goes on with the same frames', async () => {
  const golden = loadGolden('stream-early');
  const expected = framesOf(golden.floats('latents'), golden.config.latentDim);
  expect(golden.stopped && expected.length < (golden.ids.length / 5) * 7).toBe(true);
  const session = await openGolden(golden);
  const { frames, scores } = await runGolden(golden, session);
  await session.free();
  expect(scores[expected.length - 1]).toBeGreaterThan(0);
  expect(frames.length).toBeGreaterThanOrEqual((golden.ids.length / 5 - 1) * 7);
  expected.forEach((frame, i) => expect(largestDifference(frame, frames[i]), `frame ${i}`).toBeLessThan(TOLERANCE));
});

test('offline-batch: rows of one released batch, which draws one noise for all, agree too', async () => {
  const golden = loadGolden('offline-batch');
  const { config, seed, guidance, maxFrames, ids, integers, floats } = golden;
  const session = await openGolden(golden);
  const rows = 2;
  const [mask, L] = [integers('mask'), ids.length / rows];
  const texts = Array.from({ length: rows }, (_, b) => ids.filter((_, i) => Math.floor(i / L) === b && mask[i] === 1));
  const noises = sharedNoise(new TorchRandom(seed), rows, config.noiseDim);
  const results = await Promise.all(
    texts.map((text, b) =>
      collectFrames(session, config, TokenQueue.of(text), { noise: noises[b], guidanceScale: guidance, maxFrames }),
    ),
  );
  await session.free();
  const drawn = framesOf(floats('latents'), config.latentDim);
  const T = drawn.length / rows;
  expect(Math.max(...results.map(({ frames }) => frames.length))).toBe(T - 1);
  results.forEach(({ frames, reason }, b) => {
    expect(reason).toBe('end');
    frames.forEach((frame, i) => expect(largestDifference(frame, drawn[b * T + i]), `row ${b} frame ${i}`).toBeLessThan(TOLERANCE)); // prettier-ignore
  });
});

test('frames computed one by one are those that a whole prompt in the cache leads to', async () => {
  const golden = loadGolden('offline-limit');
  const session = await openGolden(golden);
  const { config, seed } = golden;
  const { frames } = await runGolden(golden, session, { guidanceScale: 2 });
  for (const count of [1, 7, 30]) {
    const noise = new TorchRandom(seed);
    for (let i = 0; i < count; i++) noise.randn(config.noiseDim);
    const prompted = await runGolden(golden, session, {
      guidanceScale: 2,
      noise,
      prompt: frames.slice(0, count),
      maxFrames: 3,
    });
    prompted.frames.forEach((frame, i) =>
      expect(largestDifference(frame, frames[count + i]), `${count} + ${i}`).toBeLessThan(TOLERANCE),
    );
  }
  await session.free();
});
