import { manualSeed, noGrad, scope } from '@sled-tts/torch';
import { cutByBudget } from '../data/batches.js';
import type { Dataset, Sample } from '../data/sample.js';
import { makeBatch } from './batch.js';
import { losses, type LossOptions } from './loss.js';
import type { Sled } from './network.js';
import { computeIn } from './precision.js';
import type { Precision } from './training-config.js';

/** Losses on utterances that are never trained on. */
export interface HeldOut {
  energy: number;
  end: number;
  /** Energy with another utterance's text minus energy with the right one: how much of the speech the text decides. */
  textShare: number;
}

const HELD_OUT_SEED = 1234; // the same noise each time, so that figures differ by the weights alone

/** Held-out losses, each utterance read with its own text and with that of the next longer one. */
export function heldOutLosses(
  model: Sled,
  data: Dataset,
  options: LossOptions & { precision: Precision; maxFrames: number },
): HeldOut {
  const byLength = Array.from(data.frames.keys()).sort((a, b) => data.frames[a] - data.frames[b]);
  const batches = cutByBudget(byLength, data.frames, options.maxFrames);
  const totals = { energy: 0, end: 0, swapped: 0, frames: 0 };
  manualSeed(HELD_OUT_SEED);
  for (const batch of batches) {
    const samples = batch.map((index) => data.sample(index));
    const right = batchLosses(model, samples, options);
    const wrong = batchLosses(model, samples.map((sample, i) => withTextOf(sample, samples[(i + 1) % samples.length])), options); // prettier-ignore
    totals.energy += right.energy * right.frames;
    totals.end += right.end * right.frames;
    totals.swapped += wrong.energy * right.frames;
    totals.frames += right.frames;
  }
  const energy = totals.energy / totals.frames;
  return { energy, end: totals.end / totals.frames, textShare: totals.swapped / totals.frames - energy };
}

const withTextOf = (sample: Sample, other: Sample): Sample => ({ ...sample, tokens: other.tokens, spoken: null });

function batchLosses(model: Sled, samples: Sample[], options: LossOptions & { precision: Precision }) {
  return noGrad(() =>
    scope(() => {
      const batch = makeBatch(samples, samples.map(() => false), model.config, model.device); // prettier-ignore
      const { energy, end } = computeIn(options.precision, () =>
        losses(model, batch, { ...options, training: false, alignmentWeight: 0 }),
      );
      return { energy: energy.item(), end: end.item(), frames: batch.frames };
    }),
  );
}
