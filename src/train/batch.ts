import { moveTo, tensor, type Tensor } from '@sled-tts/torch';
import type { SledConfig } from '../model/config.js';
import type { Sample } from '../data/sample.js';
import { layOutBatch, type AlignmentLayout, type BatchLayout } from './batch-layout.js';

/** Letters: B samples, S positions (padded on the right), D latent, M real frames, M' frames whose text is known. */
export interface TrainingBatch {
  /** [B, S] int64 */
  tokens: Tensor;
  /** [B, S, D] */
  latents: Tensor;
  /** [B, S] bool */
  isFrame: Tensor;
  /** [M] int64: index into B * S of the position before each frame, whose z predicts it. */
  predictors: Tensor;
  /** [M, D] */
  targets: Tensor;
  /** [M + B] int64: positions that answer "is this the end?": every predictor, and the last frame of each sample. */
  endPositions: Tensor;
  /** [M + B]: 1 at the last frames. */
  endLabels: Tensor;
  alignment: Alignment | null;
  /** M */
  frames: number;
  /** B * S */
  positions: number;
}

/** Additive masks over positions, 0 where attention counts and -1e9 elsewhere. */
export interface Alignment {
  /** [M'] int64 into the predictors: frames whose text was read before them. */
  aligned: Tensor;
  /** [M', S] */
  causal: Tensor;
  /** [M', S] */
  spoken: Tensor;
}

/** Lays samples out, as `layOutBatch` does, in tensors on a device. */
export const makeBatch = (
  samples: readonly Sample[],
  dropText: readonly boolean[],
  config: SledConfig,
  device = 'cpu',
): TrainingBatch => toTensors(layOutBatch(samples, dropText, config), config, device);

/** The tensors of a batch that was laid out, on a device. */
export function toTensors(layout: BatchLayout, { latentDim: D }: SledConfig, device = 'cpu'): TrainingBatch {
  const { samples: B, frames: M, positions } = layout;
  const S = positions / B;
  const tensor = tensorOn(device);
  return {
    tokens: tensor(layout.tokens, [B, S]),
    latents: tensor(layout.latents, [B, S, D]),
    isFrame: tensor(layout.isFrame, [B, S], 'bool'),
    predictors: tensor(layout.predictors, [M]),
    targets: tensor(layout.targets, [M, D]),
    endPositions: tensor(layout.endPositions, [M + B]),
    endLabels: tensor(layout.endLabels, [M + B]),
    alignment: layout.alignment && alignmentTensors(layout.alignment, S, tensor),
    frames: M,
    positions,
  };
}

/** Makes tensors on a device. */
const tensorOn =
  (device: string) =>
  (...made: Parameters<typeof tensor>): Tensor =>
    moveTo(tensor(...made), device);

function alignmentTensors(
  { aligned, causal, spoken }: AlignmentLayout,
  S: number,
  tensor: ReturnType<typeof tensorOn>,
): Alignment {
  const shape = [aligned.length, S];
  return { aligned: tensor(aligned), causal: tensor(causal, shape), spoken: tensor(spoken, shape) };
}
