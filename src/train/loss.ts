import {
  autocast,
  binaryCrossEntropyWithLogits,
  cat,
  op,
  rand,
  randn,
  randnLike,
  tensor,
  type Tensor,
} from '@sled-tts/torch';
import type { TrainingBatch } from './batch.js';
import type { Sled } from './network.js';

/** A batch's losses, scalars. `total` is what is minimised. */
export interface Losses {
  total: Tensor;
  /** |a-h| + |b-h| - |a-b|, averaged over real frames. */
  energy: Tensor;
  /** End of speech: binary cross entropy, averaged over its positions. */
  end: Tensor;
  /** -log of the attention that guided heads pay to the text being spoken; null without alignments. */
  alignment: Tensor | null;
}

export interface LossOptions {
  /** Weight of the one positive end-of-speech label; 100 in the paper's code. */
  endPositiveWeight: number;
  /** Weight of the alignment loss; 0 leaves it out. */
  alignmentWeight: number;
  /** [layer, head] of each head that is guided. */
  guidedHeads: readonly (readonly [number, number])[];
  /** In training, each sample's input frames get Gaussian noise of a deviation drawn from [0, this). */
  latentNoise: number;
  training: boolean;
  /** The two noises, each [M, N]; drawn from the current generator when absent. */
  noise?: readonly [Tensor, Tensor];
}

/** Euclidean distance over channels: [M, D] x [M, D] -> [M]. Its gradient at zero distance is zero. */
const distance = (x: Tensor, y: Tensor): Tensor => x.sub(y).norm([-1]);

/** |a-h| + |b-h| - |a-b| with two samples a, b of each target h, all [M, D] -> [M]: the energy distance, beta = 1. */
export function energyDistance(a: Tensor, b: Tensor, target: Tensor): Tensor {
  return distance(a, target).add(distance(b, target)).sub(distance(a, b));
}

/** Losses of a batch under the current autocast state; the end of speech and the means are float32. */
export function losses(model: Sled, batch: TrainingBatch, options: LossOptions): Losses {
  const views: { layer: number; query: Tensor; key: Tensor }[] = [];
  const guided = batch.alignment !== null && options.alignmentWeight > 0;
  const watch = (layer: number, query: Tensor, key: Tensor) => {
    for (const [l, head] of options.guidedHeads)
      if (l === layer) views.push({ layer, query: query.select(1, head), key: key.select(1, head) });
  };
  const inputs = options.training && options.latentNoise > 0 ? perturbed(batch, options.latentNoise) : batch;
  const hidden = model.trunk(inputs, { training: options.training, watch: guided ? watch : undefined }); // [B, S, C]
  const flat = hidden.flatten(0, 1); // [B * S, C]

  const energy = energyLoss(model, flat.indexSelect(0, batch.predictors), batch.targets, options.noise);
  const end = endLoss(model, flat.indexSelect(0, batch.endPositions), batch.endLabels, options.endPositiveWeight);
  let total = energy.add(end);
  let alignment: Tensor | null = null;
  if (guided) {
    alignment = alignmentLoss(views, batch);
    total = total.add(alignment.mul(options.alignmentWeight));
  }
  return { total, energy, end, alignment };
}

/**
 * Input frames with noise: what the model hears of itself when it speaks is never quite what it was trained on.
 * latents + deviation * N(0, 1), one deviation a sample.
 */
function perturbed(batch: TrainingBatch, largest: number): TrainingBatch {
  const { latents } = batch; // [B, S, D]
  const deviation = rand([latents.shape[0], 1, 1]).mul(largest);
  return { ...batch, latents: latents.add(randnLike(latents).mul(deviation)) };
}

/** z [M, C], targets [M, D] -> scalar. Both samples go through the head at once; their condition is computed once. */
function energyLoss(
  { energyHead, config }: Sled,
  z: Tensor,
  targets: Tensor,
  noise?: readonly [Tensor, Tensor],
): Tensor {
  const [first, second] = noise ?? [randn([z.shape[0], config.noiseDim]), randn([z.shape[0], config.noiseDim])];
  const condition = energyHead.condition(z);
  const samples = energyHead.forward(cat([first, second], 0), cat([condition, condition], 0)); // [2M, D]
  const [a, b] = samples.chunk(2, 0);
  return energyDistance(a, b, targets).to('float32').mean();
}

function endLoss(model: Sled, z: Tensor, labels: Tensor, positiveWeight: number): Tensor {
  const score = model.endScore(z).to('float32'); // [positions]
  return binaryCrossEntropyWithLogits(score, labels, { posWeight: tensor(Float32Array.of(positiveWeight), [1]) });
}

const logSumExp = op('aten::logsumexp') as (x: Tensor, dims: number[]) => Tensor;

/**
 * -log sum of attention over the text that sounds in the predicted frame, over frames and guided heads.
 * logsumexp over causal positions - logsumexp over the frame's text, of the head's scaled scores.
 */
function alignmentLoss(views: { query: Tensor; key: Tensor }[], { alignment, predictors }: TrainingBatch): Tensor {
  const { causal, spoken, aligned } = alignment!; // additive masks [M', S]; rows of `predictors` that have text
  const rows = predictors.indexSelect(0, aligned);
  const perHead = views.map(({ query, key }) =>
    autocast(null, () => {
      const scores = query
        .to('float32')
        .matmul(key.to('float32').transpose(1, 2))
        .mul(1 / Math.sqrt(query.shape[2]));
      const chosen = scores.flatten(0, 1).indexSelect(0, rows); // [M', S]
      return logSumExp(chosen.add(causal), [-1])
        .sub(logSumExp(chosen.add(spoken), [-1]))
        .mean();
    }),
  );
  return perHead.reduce((sum, x) => sum.add(x)).div(perHead.length);
}
