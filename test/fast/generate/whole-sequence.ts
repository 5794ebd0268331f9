import { noGrad, scope, setNumThreads, tensor, type Tensor } from '@sled-tts/torch';
import type { SledConfig } from '../../../src/model/config.js';
import type { SafetensorsArray } from '../../../src/model/safetensors.js';
import { planPositions } from '../../../src/model/turn-plan.js';
import { Sled } from '../../../src/train/network.js';
import { loadParameters } from '../../../src/train/parameters.js';

setNumThreads(1); // the products are small

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

/** What was generated, as libtorch is to compute it again. */
export interface Generated {
  /** Token ids that stand before the frames, as they were read. */
  text: readonly number[];
  /** T frames [D]. */
  frames: readonly Float32Array[];
  /** [T, N] */
  noise: Float32Array;
  guidanceScale: number;
}

/** The T frames that libtorch draws for the whole sequence at once, each after the given ones before it: [T, D]. */
export function drawWithTorch(
  config: SledConfig,
  checkpoint: ReadonlyMap<string, SafetensorsArray>,
  { text, frames, noise, guidanceScale }: Generated,
): Float32Array {
  const T = frames.length;
  return scope(() =>
    noGrad(() => {
      const sled = new Sled(loadParameters(config, checkpoint), config);
      const z = (ids: readonly number[], layout: Pick<SledConfig, 'textPerTurn' | 'framesPerTurn'>) => {
        const source = planPositions(ids.length, T, layout);
        return predictors(sled.trunk(rowOf(config, ids, frames, source)), source, ids.length);
      };
      const endless = { textPerTurn: Infinity, framesPerTurn: Infinity };
      const [conditional, unconditional] = [z(text, config), z([config.eosId], endless)];
      const guided = unconditional.add(conditional.sub(unconditional).mul(guidanceScale));
      const { energyHead } = sled;
      const drawn = energyHead.forward(tensor(noise, [T, config.noiseDim]), energyHead.condition(guided));
      return drawn.toFloat32Array();
    }),
  );
}

/** How much attention one head pays, of all that it pays to the text read so far, before each of T frames: weights of the tokens read. */
export function attendWithTorch(
  config: SledConfig,
  checkpoint: ReadonlyMap<string, SafetensorsArray>,
  { text, frames, head: [layer, head] }: Pick<Generated, 'text' | 'frames'> & { head: readonly [number, number] },
): number[][] {
  const source = planPositions(text.length, frames.length, config);
  const scores: number[][] = []; // [S][S]
  scope(() =>
    noGrad(() => {
      const sled = new Sled(loadParameters(config, checkpoint), config);
      const watch = (l: number, query: Tensor, key: Tensor) => {
        if (l !== layer) return;
        const [q, k] = [query, key].map((x) => x.select(0, 0).select(0, head)); // [S, E]
        const [S, E] = q.shape;
        const all = q.matmul(k.transpose(0, 1)).mul(1 / Math.sqrt(E)).toFloat32Array(); // prettier-ignore
        for (let s = 0; s < S; s++) scores.push([...all.subarray(s * S, (s + 1) * S)]);
      };
      sled.trunk(rowOf(config, text, frames, source), { training: false, watch });
    }),
  );
  return [...source.keys()].filter((s) => source[s] >= text.length).map((frame) => {
    const read = [...source.keys()].filter((s) => s < frame && source[s] < text.length);
    const weights = read.map((s) => Math.exp(scores[frame - 1][s]));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }); // prettier-ignore
}
