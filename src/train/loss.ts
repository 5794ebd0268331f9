import { autocast, binaryCrossEntropyWithLogits, cat, full, moveTo, op, randn, type Tensor } from '@sled-tts/torch';
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
  training: boolean;
  /** What the means are over, where the batch is a part of a step's; the batch's own counts when absent. */
  counts?: Counts;
  /** Added to the frames that the trunk hears, [M, D]; null for none. */
  inputNoise?: Tensor | null;
  /** The two noises, each [M, N]; drawn from the CPU's current generator when absent. */
  noise?: readonly [Tensor, Tensor];
}

/** What a loss is averaged over. */
export interface Counts {
  /** Real frames. */
  frames: number;
  /** Answers to "is this the end?". */
  ends: number;
  /** Frames whose text is known. */
  aligned: number;
}

/** Real frames, answers and aligned frames of one batch. */
export function countsOf({ frames, endLabels, alignment }: TrainingBatch): Counts {
  return { frames, ends: endLabels.shape[0], aligned: alignment?.aligned.shape[0] ?? 0 };
}

/** Euclidean distance over channels: [M, D] x [M, D] -> [M]. Its gradient at zero distance is zero. */
const distance = (x: Tensor, y: Tensor): Tensor => x.sub(y).norm([-1]);

/** |a-h| + |b-h| - |a-b| with two samples a, b of each target h, all [M, D] -> [M]: the energy distance, beta = 1. */
export function energyDistance(a: Tensor, b: Tensor, target: Tensor): Tensor {
  return distance(a, target).add(distance(b, target)).sub(distance(a, b));
}

/** Losses of a batch, or of its part in a step's, under the current autocast state; the end of speech and the means are float32. */
export function losses(model: Sled, batch: TrainingBatch, options: LossOptions): Losses {
  const views: { layer: number; query: Tensor; key: Tensor }[] = [];
  const guided = batch.alignment !== null && options.alignmentWeight > 0;
  const watch = (layer: number, query: Tensor, key: Tensor) => {
    for (const [l, head] of options.guidedHeads)
      if (l === layer) views.push({ layer, query: query.select(1, head), key: key.select(1, head) });
  };
  const counts = options.counts ?? countsOf(batch);
  const inputs = options.inputNoise ? perturbed(batch, options.inputNoise) : batch;
  const hidden = model.trunk(inputs, { training: options.training, watch: guided ? watch : undefined }); // [B, S, C]
  const flat = hidden.flatten(0, 1); // [B * S, C]

  const distances = energies(model, flat.indexSelect(0, batch.predictors), batch.targets, options.noise); // [M]
  const energy = distances.to('float32').sum().div(counts.frames);
  const answers = flat.indexSelect(0, batch.endPositions); // [M + B, C]
  const end = endLoss(model, answers, batch.endLabels, options.endPositiveWeight).div(counts.ends);
  let total = energy.add(end);
  let alignment: Tensor | null = null;
  if (guided) {
    alignment = alignmentLoss(views, batch).div(counts.aligned);
    total = total.add(alignment.mul(options.alignmentWeight));
  }
  return { total, energy, end, alignment };
}

const indexAdd = op('aten::index_add') as (x: Tensor, dim: number, index: Tensor, source: Tensor) => Tensor;

/** Input frames with noise [M, D]: what the model hears of itself when it speaks is never quite what it was trained on. */
function perturbed(batch: TrainingBatch, noise: Tensor): TrainingBatch {
  const { latents, predictors } = batch;
  const rows = indexAdd(latents.flatten(0, 1), 0, predictors.add(1), noise); // [B * S, D]: a frame follows its predictor
  return { ...batch, latents: rows.view(...latents.shape) };
}

/** z [M, C], targets [M, D] -> [M]. Both samples go through the head at once; their condition is computed once. */
function energies({ energyHead, config }: Sled, z: Tensor, targets: Tensor, noise?: readonly [Tensor, Tensor]): Tensor {
  const [first, second] = noise ?? [0, 1].map(() => moveTo(randn([z.shape[0], config.noiseDim]), z.device));
  const condition = energyHead.condition(z);
  const samples = energyHead.forward(cat([first, second], 0), cat([condition, condition], 0)).to('float32'); // [2M, D]
  const [a, b] = samples.chunk(2, 0);
  return energyDistance(a, b, targets);
}

/** z [positions, C] -> summed over positions, scalar. */
function endLoss(model: Sled, z: Tensor, labels: Tensor, positiveWeight: number): Tensor {
  const score = model.endScore(z).to('float32'); // [positions]
  const posWeight = full([1], positiveWeight, { device: z.device });
  return binaryCrossEntropyWithLogits(score, labels, { posWeight, reduction: 'sum' });
}

const logSumExp = op('aten::logsumexp') as (x: Tensor, dims: number[]) => Tensor;

/**
 * -log sum of attention over the text that sounds in the predicted frame, summed over frames, averaged over guided heads.
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
        .sum();
    }),
  );
  return perHead.reduce((sum, x) => sum.add(x)).div(perHead.length);
}
