import type { Sample } from '../data/sample.js';
import type { SledConfig } from '../model/config.js';
import { planPositions } from '../model/turn-plan.js';

/**
 * A batch as plain arrays, which threads can hand to each other. Letters: B samples, S positions (padded on the
 * right), D latent, M real frames, M' frames whose text is known.
 */
export interface BatchLayout {
  /** [B, S] */
  tokens: BigInt64Array;
  /** [B, S, D] */
  latents: Float32Array;
  /** [B, S]: 0 or 1 */
  isFrame: Uint8Array;
  /** [M]: index into B * S of the position before each frame, whose z predicts it. */
  predictors: BigInt64Array;
  /** [M, D] */
  targets: Float32Array;
  /** [M + B]: positions that answer "is this the end?": every predictor, and the last frame of each sample. */
  endPositions: BigInt64Array;
  /** [M + B]: 1 at the last frames. */
  endLabels: Float32Array;
  alignment: AlignmentLayout | null;
  /** B */
  samples: number;
  /** M */
  frames: number;
  /** B * S */
  positions: number;
}

/** Additive masks over positions, 0 where attention counts and -1e9 elsewhere. */
export interface AlignmentLayout {
  /** [M'] into the predictors: frames whose text was read before them. */
  aligned: BigInt64Array;
  /** [M', S] */
  causal: Float32Array;
  /** [M', S] */
  spoken: Float32Array;
}

interface Row {
  sample: Sample;
  tokens: ArrayLike<number>;
  /** [S_b]: planPositions */
  source: Int32Array;
  /** False when guidance dropout took the text. */
  hasText: boolean;
}

/**
 * Lays samples out in sequence order and pads them on the right.
 * @param dropText per sample: its text becomes the single token `</s>` (classifier-free guidance)
 */
export function layOutBatch(samples: readonly Sample[], dropText: readonly boolean[], config: SledConfig): BatchLayout {
  const rows = samples.map((sample, b): Row => {
    const tokens = dropText[b] ? [config.eosId] : sample.tokens;
    return { sample, tokens, source: planPositions(tokens.length, sample.frames, config), hasText: !dropText[b] };
  });
  const S = Math.max(...rows.map(({ source }) => source.length));
  const M = rows.reduce((sum, { sample }) => sum + sample.frames, 0);
  const arrays = layOut(rows, S, M, config.latentDim);
  const isAligned = rows.some(({ sample, hasText }) => sample.spoken && hasText);
  return {
    ...arrays,
    alignment: isAligned ? alignmentMasks(rows, S, arrays.predictors) : null,
    samples: rows.length,
    frames: M,
    positions: rows.length * S,
  };
}

function layOut(rows: readonly Row[], S: number, M: number, D: number) {
  const B = rows.length;
  const tokens = new BigInt64Array(B * S);
  const isFrame = new Uint8Array(B * S);
  const latents = new Float32Array(B * S * D);
  const targets = new Float32Array(M * D);
  const predictors = new BigInt64Array(M);
  const endPositions = new BigInt64Array(M + B);
  const endLabels = new Float32Array(M + B);
  let frame = 0;
  rows.forEach(({ sample, tokens: text, source }, b) => {
    sample.copyLatents(targets, frame * D);
    const firstFrame = frame;
    let last = 0;
    source.forEach((from, s) => {
      const position = b * S + s;
      if (from < text.length) tokens[position] = BigInt(text[from]);
      else {
        isFrame[position] = 1;
        const at = (firstFrame + from - text.length) * D;
        latents.set(targets.subarray(at, at + D), position * D);
        predictors[frame] = endPositions[frame + b] = BigInt(position - 1);
        frame++;
        last = position;
      }
    });
    endPositions[frame + b] = BigInt(last);
    endLabels[frame + b] = 1;
  });
  return { tokens, isFrame, latents, targets, predictors, endPositions, endLabels };
}

function alignmentMasks(rows: readonly Row[], S: number, predictors: BigInt64Array): AlignmentLayout {
  const aligned: bigint[] = [];
  const causal: Float32Array[] = [];
  const spokenMasks: Float32Array[] = [];
  let frame = 0;
  rows.forEach(({ sample, tokens, source, hasText }, b) => {
    const positionOf = textPositions(tokens.length, source);
    for (let t = 0; t < sample.frames; t++, frame++) {
      if (!hasText || !sample.spoken) continue;
      const predictor = Number(predictors[frame]) - b * S;
      const mask = new Float32Array(S).fill(-1e9);
      let known = false;
      for (let token = sample.spoken[2 * t]; token < sample.spoken[2 * t + 1]; token++)
        if (positionOf[token] <= predictor) {
          mask[positionOf[token]] = 0;
          known = true;
        }
      if (!known) continue;
      aligned.push(BigInt(frame));
      spokenMasks.push(mask);
      causal.push(new Float32Array(S).fill(-1e9, predictor + 1));
    }
  });
  return { aligned: BigInt64Array.from(aligned), causal: join(causal, S), spoken: join(spokenMasks, S) };
}

function textPositions(length: number, source: Int32Array): Int32Array {
  const positions = new Int32Array(length);
  source.forEach((from, s) => {
    if (from < length) positions[from] = s;
  });
  return positions;
}

function join(rows: Float32Array[], width: number): Float32Array {
  const joined = new Float32Array(rows.length * width);
  rows.forEach((row, i) => joined.set(row, i * width));
  return joined;
}
