import { expect, test } from 'vitest';
import { openSession } from '../../../src/generate/open-session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { collectFrames, EXACT, framesOf, goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';
import { drawWithTorch } from './whole-sequence.js';

// Both compute in float32; sums run in another order.
const TOLERANCE = 1e-3;
const GUIDANCE = 2;
const FRAMES = 24;

test.each(['even-stream', 'odd', 'odd-stream'])(
  '%s: ggml draws what libtorch computes for the whole sequence',
  async (name) => {
    const config = goldenConfig(name);
    const checkpoint = hashedCheckpoint(config, new Float32Array(config.width));
    const session = await openSession(config, checkpoint, EXACT);
    const text = [0, ...Array.from({ length: 21 }, (_, i) => 4 + ((i * 5) % 30)), 2];
    const queue = new TokenQueue();
    if (name === 'odd') queue.end(text);
    else queue.push(text); // left open: the score ends nothing
    const noise = new TorchRandom(11);
    const { frames } = await collectFrames(session, config, queue, {
      noise,
      guidanceScale: GUIDANCE,
      maxFrames: FRAMES,
    });
    await session.free();
    expect(frames).toHaveLength(FRAMES);

    const again = new TorchRandom(11);
    const noises = Float32Array.from(frames.flatMap(() => [...again.randn(config.noiseDim)]));
    const drawn = drawWithTorch(config, checkpoint, { text, frames, noise: noises, guidanceScale: GUIDANCE });
    framesOf(drawn, config.latentDim).forEach((frame, i) =>
      expect(largestDifference(frame, frames[i]), `frame ${i}`).toBeLessThan(TOLERANCE),
    );
  },
);
