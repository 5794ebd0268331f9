import { afterEach, expect, test, vi } from 'vitest';
import { Backend, type Tensor } from '@sled-tts/ggml';
import { framesOf, largestDifference, loadGolden, openGolden, runGolden } from './golden-cases.js';

afterEach(() => void vi.restoreAllMocks());

/** A backend without flash attention, as CUDA's is for these head sizes. */
function withoutFlash() {
  const refused: Tensor[] = [];
  vi.spyOn(Backend.prototype, 'canCompute').mockImplementation((result) => {
    if (result.op !== 'flashAttention') return true;
    refused.push(result);
    return false;
  });
  return refused;
}

test.each(['offline-odd', 'stream-stop', 'clone-stop'])(
  '%s: a device without flash attention draws the same',
  async (name) => {
    const golden = loadGolden(name);
    const refused = withoutFlash();
    const session = await openGolden(golden);
    const { frames } = await runGolden(golden, session);
    await session.free();
    expect(refused.length).toBeGreaterThan(0);
    const expected = framesOf(golden.floats('latents'), golden.config.latentDim);
    expect(frames.length).toBeGreaterThan(5);
    frames.forEach((frame, i) => expect(largestDifference(frame, expected[i]), `frame ${i}`).toBeLessThan(1e-3));
  },
);
