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
import { Balancer, type BalancedLoss } from './balancer.js';
import type { CropBatch } from './crops.js';
import { initialDecoder, TrainingDecoder } from './decoder.js';
import {
  adversarialLoss,
  DEFAULT_DISCRIMINATOR,
  Discriminator,
  discriminatorLoss,
  featureLoss,
  initialDiscriminator,
  type DiscriminatorSizes,
} from './discriminator.js';
import { PitchLoss } from './pitch-loss.js';
import { SpectralLoss } from './spectral-loss.js';

/** How a decoder is trained; all of it is part of a checkpoint. */
export interface CodecRecipe {
  readonly steps: number;
  readonly batchSize: number;
  readonly cropFrames: number;
  /** Step at which the discriminators begin to learn. */
  readonly adversarialFrom: number;
  /** They learn in every so manyth step, to leave time for the decoder. */
  readonly discriminatorEvery: number;
  /** Steps that they learn alone: the decoder wrecks itself to please ones that know nothing. */
  readonly adversarialLead: number;
  /** Steps over which their say then rises to `gameShare`. */
  readonly adversarialRamp: number;
  /** Share of their gradient beside the spectral loss's, which is one. */
  readonly gameShare: number;
  readonly learningRate: number;
  /** The decoder's rate from `adversarialFrom` on. */
  readonly adversarialLearningRate: number;
  readonly discriminatorLearningRate: number;
  readonly warmupSteps: number;
  /** Largest standard deviation of the noise on the latents; a generator's latents are imperfect too. */
  readonly latentNoise: number;
  /** Decay of the averaged weights. */
  readonly averageDecay: number;
  readonly seed: number;
  readonly autocast: boolean;
  readonly discriminator: DiscriminatorSizes;
}

export const DEFAULT_RECIPE: CodecRecipe = {
  steps: 6000,
  batchSize: 8,
  cropFrames: 25,
  adversarialFrom: 1500,
  discriminatorEvery: 2,
  adversarialLead: 60,
  adversarialRamp: 400,
  gameShare: 0.5,
  learningRate: 1e-3,
  adversarialLearningRate: 4e-4,
  discriminatorLearningRate: 3e-4,
  warmupSteps: 200,
  latentNoise: 0.12,
  averageDecay: 0.999,
  seed: 1,
  autocast: true,
  discriminator: DEFAULT_DISCRIMINATOR,
};

/** Losses of one step; the adversarial ones are absent until the discriminators join. */
export interface StepLosses {
  readonly spectral: number;
  /** Octaves by which the decoder's pitch is wrong; absent without a source. */
  readonly pitch?: number;
  readonly adversarial?: number;
  readonly feature?: number;
  readonly discriminator?: number;
}

/** Of the feature loss beside the adversarial one; both run backward through the discriminators at once. */
const FEATURE_WEIGHT = 2;
/** Of an octave beside a gradient of norm one at the samples. */
const PITCH_WEIGHT = 1;
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
  readonly discriminator: Discriminator;
  readonly balancer = new Balancer();
  readonly decoderOptimizer: AdamW;
  readonly discriminatorOptimizer: AdamW;
  private readonly averageDecoder: TrainingDecoder;
  private readonly spectralLoss: SpectralLoss;
  private readonly pitchLoss: PitchLoss | undefined;

  constructor(
    readonly config: MelCodecConfig,
    readonly recipe: CodecRecipe,
  ) {
    manualSeed(recipe.seed);
    this.decoder = new TrainingDecoder(initialDecoder(config), config);
    this.discriminator = new Discriminator(initialDiscriminator(recipe.discriminator), recipe.discriminator);
    this.average = new Map(
      [...this.decoder.weights].map(([name, weight]) => [name, keep(noGrad(() => weight.detach().clone()))]),
    );
    this.averageDecoder = new TrainingDecoder(this.average, config);
    this.decoderOptimizer = optimizerOf(this.decoder.weights);
    this.discriminatorOptimizer = optimizerOf(this.discriminator.weights);
    this.spectralLoss = new SpectralLoss(config.sampleRate);
    this.pitchLoss = config.decoderSource === 'pitch' ? new PitchLoss(config) : undefined;
  }

  /** One update of the decoder and, from `adversarialFrom` on, of the discriminators. */
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
    const losses: BalancedLoss[] = [{ name: 'spectral', share: 1, loss: spectral }];
    const game =
      this.step >= this.recipe.adversarialFrom ? this.play(leaf.narrow(0, 0, samples.shape[0]), samples) : undefined;
    const share = this.gameShare();
    if (game && share > 0) {
      losses.push({ name: 'game', share, loss: game.adversarial.add(game.feature, FEATURE_WEIGHT) });
    }
    const gradient = this.balancer.gradient(leaf, losses);
    this.decoderOptimizer.zeroGrad();
    const pitch = this.pitchLoss?.forward(this.decoder.synthesis.octaves(head), batch.samples);
    const objective = output.mul(gradient).sum(); // its gradient at the output is `gradient`
    (pitch ? objective.add(pitch, PITCH_WEIGHT) : objective).backward();
    this.decoderOptimizer.step();
    const own = { spectral: spectral.item(), pitch: pitch?.item() };
    if (!game) return own;
    const { adversarial, feature, discriminator } = game;
    return { ...own, adversarial: adversarial.item(), feature: feature.item(), discriminator };
  }

  /** Updates the discriminators, then asks them about the decoder's output. */
  private play(leaf: Tensor, samples: Tensor): { adversarial: Tensor; feature: Tensor; discriminator?: number } {
    const seenReal = noGrad(() => this.discriminator.see(samples));
    const seenFake = this.discriminator.see(leaf);
    const learns = this.gameShare() === 0 || this.step % this.recipe.discriminatorEvery === 0;
    const discriminator = learns ? this.updateDiscriminator(seenReal, seenFake) : undefined;
    this.discriminator.setTrainable(false);
    const [real, fake] = this.inAutocast(() => [
      noGrad(() => this.discriminator.judge(seenReal)),
      this.discriminator.judge(seenFake),
    ]);
    this.discriminator.setTrainable(true);
    return { adversarial: adversarialLoss(fake), feature: featureLoss(real, fake), discriminator };
  }

  private updateDiscriminator(seenReal: readonly Tensor[], seenFake: readonly Tensor[]): number {
    const half = seenReal[0].shape[0];
    const loss = this.inAutocast(() => {
      const both = this.discriminator.judge(seenReal.map((real, i) => cat([real, seenFake[i].detach()])));
      const part = (start: number) =>
        both.map(({ scores }) => ({ scores: scores.narrow(0, start, half), features: [] }));
      return discriminatorLoss(part(0), part(half));
    });
    this.discriminatorOptimizer.zeroGrad();
    loss.backward();
    this.discriminatorOptimizer.step();
    return loss.item();
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

  /** 0 until the discriminators have had their lead, then rising to its full value. */
  private gameShare(): number {
    const { adversarialFrom, adversarialLead, adversarialRamp, gameShare } = this.recipe;
    const since = this.step - adversarialFrom - adversarialLead;
    return gameShare * Math.min(1, Math.max(0, since / adversarialRamp));
  }

  private setRates(): void {
    const { recipe, step } = this;
    const progress = Math.min(1, step / recipe.steps);
    const decay = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + Math.cos(Math.PI * progress));
    const warm = Math.min(1, (step + 1) / recipe.warmupSteps);
    const rate = step < recipe.adversarialFrom ? recipe.learningRate : recipe.adversarialLearningRate;
    this.decoderOptimizer.groups[0].lr = rate * decay * warm;
    this.discriminatorOptimizer.groups[0].lr = recipe.discriminatorLearningRate * decay;
  }
}

function optimizerOf(weights: ReadonlyMap<string, Tensor>): AdamW {
  return new AdamW([{ params: [...weights.values()], lr: 0, weightDecay: WEIGHT_DECAY }], { betas: BETAS });
}
