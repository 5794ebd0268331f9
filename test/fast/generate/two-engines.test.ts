import { expect, test } from 'vitest';
import { noGrad, scope, setNumThreads, tensor, type Tensor } from '@sled-tts/torch';
import { openSession } from '../../../src/generate/open-session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import type { SledConfig } from '../../../src/model/config.js';
import { planPositions } from '../../../src/model/turn-plan.js';
import { Sled } from '../../../src/train/network.js';
import { loadParameters } from '../../../src/train/parameters.js';
import { collectFrames, EXACT, framesOf, goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';

// Both compute in float32; sums run in another order.
const TOLERANCE = 1e-3;
const GUIDANCE = 2;
const FRAMES = 24;

setNumThreads(1); // the products are tiny

/** A row as libtorch's trunk reads it: `source[s]` is a text index, or text.length + a frame index. */
function rowOf(config: SledConfig, text: readonly number[], frames: readonly Float32Array[], source: Int32Array) {
  const [S, D] = [source.length, config.latentDim];
  const tokens = new BigInt64Array(S);
  const latents = new Float32Array(S * D);
  const isFrame = new Uint8Array(S);
  source.forEach((from, s) => {
    if (from < text.length) tokens[s] = BigInt(text[from]);
    else {
      latents.set(frames[from - text.length], s * D);
      isFrame[s] = 1;
    }
  });
  return {
    tokens: tensor(tokens, [1, S], 'int64'),
    latents: tensor(latents, [1, S, D]),
    isFrame: tensor(isFrame, [1, S], 'bool'),
  };
}

/** For each frame, the hidden vector of the position before it: [T, C]. */
function predictors(hidden: Tensor, source: Int32Array, textLength: number): Tensor {
  const before = [...source.keys()].filter((s) => source[s] >= textLength).map((s) => BigInt(s - 1));
  return hidden.select(0, 0).indexSelect(0, tensor(BigInt64Array.from(before), [before.length], 'int64'));
}

test.each(['even-stream', 'odd', 'odd-stream'])(
  '%s: ggml draws what libtorch computes for the whole sequence',
  async (name) => {
    const config = goldenConfig(name);
    const checkpoint = hashedCheckpoint(config, new Float32Array(config.width));
    const session = await openSession(config, checkpoint, EXACT);
    const text = [0, ...Array.from({ length: 21 }, (_, i) => 4 + ((i * 5) % 30)), 2];
    const queue = new TokenQueue();
    if (name === 'odd') queue.end(text);
    else queue.push(text);
    const noise = new TorchRandom(11);
    const { frames } = await collectFrames(session, config, queue, {
      noise,
      guidanceScale: GUIDANCE,
      maxFrames: FRAMES,
    });
    await session.free();
    expect(frames).toHaveLength(FRAMES);

    const again = new TorchRandom(11);
    const noises = Float32Array.from(Array.from({ length: FRAMES }, () => [...again.randn(config.noiseDim)]).flat());
    const computed = scope(() =>
      noGrad(() => {
        const sled = new Sled(loadParameters(config, checkpoint), config);
        const z = ([ids, layout]: [number[], Pick<SledConfig, 'textPerTurn' | 'framesPerTurn'>]) => {
          const source = planPositions(ids.length, FRAMES, layout);
          return predictors(sled.trunk(rowOf(config, ids, frames, source)), source, ids.length);
        };
        const endless = { textPerTurn: Infinity, framesPerTurn: Infinity };
        const [conditional, unconditional] = [z([text, config]), z([[config.eosId], endless])];
        const guided = unconditional.add(conditional.sub(unconditional).mul(GUIDANCE));
        const { energyHead } = sled;
        return energyHead
          .forward(tensor(noises, [FRAMES, config.noiseDim]), energyHead.condition(guided))
          .toFloat32Array();
      }),
    );
    framesOf(computed, config.latentDim).forEach((frame, i) =>
      expect(largestDifference(frame, frames[i]), `frame ${i}`).toBeLessThan(TOLERANCE),
    );
  },
);
