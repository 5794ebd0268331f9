import { expect, test } from 'vitest';
import { goldenCases, framesOf, largestDifference, loadGolden, openGolden, runGolden } from './golden-cases.js';

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
