import {
  AdamW,
  autocast,
  cat,
  manualSeed,
  noGrad,
  op,
  randn,
  rand,
  scope,
  tensor,
  keep,
  type Tensor,
} from '@sled-tts/torch';
import type { MelCodecConfig } from '../../codec/mel/config.js';
import type { CropBatch } from './crops.js';
import { initialDecoder, TrainingDecoder, type Weights } from './decoder.js';
import { PitchLoss } from './pitch-loss.js';
import { SpectralLoss } from './spectral-loss.js';
import { UnitGradient } from './unit-gradient.js';

/** How a decoder is trained; all of it is part of a checkpoint. */
export interface CodecRecipe {
  readonly steps: number;
  readonly batchSize: number;
  readonly cropFrames: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  /** Largest standard deviation of the noise on the latents; a generator's latents are imperfect too. */
  readonly latentNoise: number;
  /** Decay of the averaged weights. */
  readonly averageDecay: number;
  readonly seed: number;
  readonly autocast: boolean;
}

export const DEFAULT_RECIPE: CodecRecipe = {
  steps: 4000,
  batchSize: 8,
  cropFrames: 25,
  learningRate: 1e-3,
  warmupSteps: 200,
  latentNoise: 0.12,
  averageDecay: 0.999,
  seed: 1,
  autocast: true,
};

/** Losses of one step. */
export interface StepLosses {
  readonly spectral: number;
  /** Octaves by which the decoder's pitch is wrong; absent without a source. */
  readonly pitch?: number;
}

/** Of an octave beside a gradient of norm one at the samples. */
const PITCH_WEIGHT = 4;
const BETAS = [0.8, 0.99] as const;
const WEIGHT_DECAY = 0.01;
/** The learning rate ends at this part of its peak. */
const FINAL_RATE = 0.03;

const foreachLerp = op('_foreach_lerp_', 'Scalar');

/** Weights, optimisers and loop state of a codec's decoder in training. */
export class CodecTrainer {
  step = 0;
  readonly decoder: TrainingDecoder;
  /** Moving averages of the decoder's weights: what is shipped. */
  readonly average: ReadonlyMap<string, Tensor>;
  readonly gradient = new UnitGradient();
  readonly optimizer: AdamW;
  private readonly averageDecoder: TrainingDecoder;
  private readonly spectralLoss: SpectralLoss;
  private readonly pitchLoss: PitchLoss | undefined;

  /** @param initial weights to begin with; fresh ones without */
  constructor(
    readonly config: MelCodecConfig,
    readonly recipe: CodecRecipe,
    initial?: Weights,
  ) {
    manualSeed(recipe.seed);
    this.decoder = new TrainingDecoder(initial ?? initialDecoder(config), config);
    this.average = new Map(
      [...this.decoder.weights].map(([name, weight]) => [name, keep(noGrad(() => weight.detach().clone()))]),
    );
    this.averageDecoder = new TrainingDecoder(this.average, config);
    const params = [...this.decoder.weights.values()];
    this.optimizer = new AdamW([{ params, lr: 0, weightDecay: WEIGHT_DECAY }], { betas: BETAS });
    this.spectralLoss = new SpectralLoss(config.sampleRate);
    this.pitchLoss = config.decoderSource === 'pitch' ? new PitchLoss(config) : undefined;
  }

  /** One update of the decoder. */
  train(batch: CropBatch): StepLosses {
    this.setRates();
    const losses = scope(() => this.update(batch));
    this.step++;
    const decay = Math.min(this.recipe.averageDecay, (1 + this.step) / (10 + this.step));
    noGrad(() => foreachLerp([...this.average.values()], [...this.decoder.weights.values()], 1 - decay));
    return losses;
  }

  /** Spectral loss of the averaged weights on clean latents. */
  evaluate(batches: readonly CropBatch[]): number {
    const losses = batches.map((batch) =>
      noGrad(() =>
        scope(() => {
          const { latents, samples } = this.tensorsOf(batch);
          const drawn = this.draw(this.averageDecoder, this.averageDecoder.head(latents), 0);
          return this.spectralDistance(drawn, samples).item();
        }),
      ),
    );
    return losses.reduce((a, b) => a + b, 0) / losses.length;
  }

  private update(batch: CropBatch): StepLosses {
    const { latents, samples } = this.tensorsOf(batch);
    const head = this.inAutocast(() => this.decoder.head(this.disturb(latents)));
    const output = this.draw(this.decoder, head, this.noiseSeed()); // [B or 2 * B, N]
    const leaf = output.detach().requiresGrad_();
    const spectral = this.spectralDistance(leaf, samples);
    const gradient = this.gradient.of(spectral, leaf);
    this.optimizer.zeroGrad();
    const pitch = this.pitchLoss?.forward(this.decoder.synthesis.octaves(head), batch.samples);
    const objective = output.mul(gradient).sum(); // its gradient at the output is `gradient`
    (pitch ? objective.add(pitch, PITCH_WEIGHT) : objective).backward();
    this.optimizer.step();
    return { spectral: spectral.item(), pitch: pitch?.item() };
  }

  private tensorsOf({ latents, samples }: CropBatch): { latents: Tensor; samples: Tensor } {
    const { batchSize } = this.recipe;
    return {
      latents: tensor(latents, [batchSize, latents.length / batchSize / this.config.latentDim, this.config.latentDim]),
      samples: tensor(samples, [batchSize, samples.length / batchSize]),
    };
  }

  /** latents + sigma * noise, sigma uniform in [0, latentNoise) for every row. */
  private disturb(latents: Tensor): Tensor {
    const sigma = rand([latents.shape[0], 1, 1]).mul(this.recipe.latentNoise);
    return latents.add(randn(latents.shape).mul(sigma));
  }

  /** Noise of the sources that no earlier step heard; 0 to 63 are left to `evaluate`. */
  private noiseSeed(): number {
    return 64 + 2 * this.step * this.recipe.batchSize;
  }

  /** What a head says, [B, N], and with a source, whose pulses and noise fall otherwise, once more: [2 * B, N]. */
  private draw({ synthesis }: TrainingDecoder, head: Tensor, noiseSeed: number): Tensor {
    return synthesis.samples(this.pitchLoss ? cat([head, head]) : head, noiseSeed);
  }

  private spectralDistance(drawn: Tensor, samples: Tensor): Tensor {
    return this.pitchLoss ? this.spectralLoss.energyScore(drawn, samples) : this.spectralLoss.forward(drawn, samples);
  }

  private inAutocast<T>(fn: () => T): T {
    return this.recipe.autocast ? autocast('bfloat16', fn) : fn();
  }

  private setRates(): void {
    const { recipe, step } = this;
    const progress = Math.min(1, step / recipe.steps);
    const decay = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + Math.cos(Math.PI * progress));
    const warm = Math.min(1, (step + 1) / recipe.warmupSteps);
    this.optimizer.groups[0].lr = recipe.learningRate * decay * warm;
  }
}
