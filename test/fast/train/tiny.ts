import { Random } from '../../../src/data/random.js';
import type { Dataset, Sample } from '../../../src/data/sample.js';
import type { SledConfig } from '../../../src/model/config.js';
import { DEFAULT_TRAINING, type TrainingConfig } from '../../../src/train/training-config.js';

export const TINY_MODEL: SledConfig = {
  vocabSize: 12, width: 16, layers: 2, heads: 2, ffnWidth: 24, maxPositions: 64, ropeTheta: 10_000, normEps: 1e-6,
  latentDim: 4, headWidth: 16, headDepth: 1, noiseDim: 16, guidanceDropout: 0.2, dropout: 0.1, attentionDropout: 0,
  activationDropout: 0, textPerTurn: 3, framesPerTurn: 4, bosId: 0, eosId: 2, text: 'phonemes-en', guidanceScale: 1, temperature: 1, alignmentHeads: [],
}; // prettier-ignore

export const TINY_TRAINING: TrainingConfig = {
  ...DEFAULT_TRAINING, maxSecondsPerBatch: 40, groupSize: 8, steps: 12, warmupSteps: 2, decaySteps: 4, learningRate: 5e-3,
  emaDecay: 0.9, precision: 'f32', trunkInit: 'xavier', alignmentWeight: 0.2, latentNoise: 0.1, guidedHeads: [[1, 0]],
}; // prettier-ignore

/** Utterances whose frames depend on their text: token k sounds for two frames near (k, -k, 1, 0) / 4. */
export function tinyDataset(count: number, seed = 1): Dataset {
  const random = new Random(seed);
  const samples = Array.from({ length: count }, (_, i) => tinySample(String(i), random));
  return {
    length: count,
    latentDim: TINY_MODEL.latentDim,
    frames: Int32Array.from(samples, ({ frames }) => frames),
    sample: (index) => samples[index],
  };
}

function tinySample(id: string, random: Random): Sample {
  const text = Array.from({ length: 2 + random.below(5) }, () => 3 + random.below(9));
  const latents = text.flatMap((k) =>
    [0, 1].flatMap(() => [k / 4, -k / 4, 1, 0].map((x) => x + 0.1 * random.uniform())),
  );
  return {
    id,
    text: text.join(' '),
    tokens: Int32Array.of(0, ...text, 2),
    frames: 2 * text.length,
    copyLatents: (out, offset) => out.set(latents, offset),
    spoken: Int32Array.from(text.flatMap((_, k) => [k + 1, k + 2, k + 1, k + 2])),
  };
}
