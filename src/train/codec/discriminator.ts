import {
  cat,
  conv1d,
  hannWindow,
  keep,
  rand,
  scope,
  stft,
  viewAsReal,
  weightNorm,
  zeros,
  type Tensor,
} from '@sled-tts/torch';
import { powerOf } from './spectral-loss.js';

/** Sizes of the discriminators, one a window length. */
export interface DiscriminatorSizes {
  readonly fftSizes: readonly number[];
  readonly width: number;
  /** Convolutions between the first and the last. */
  readonly layers: number;
  /** Scores given to every frame. */
  readonly scores: number;
}

export const DEFAULT_DISCRIMINATOR: DiscriminatorSizes = {
  fftSizes: [512, 1024, 2048],
  width: 192,
  layers: 3,
  scores: 8,
};

/** What one discriminator makes of a signal: scores [B, scores, F] and the activations of its layers. */
export interface Judgement {
  readonly scores: Tensor;
  readonly features: readonly Tensor[];
}

const KERNEL = 3;
const SLOPE = 0.1;
/** Square roots of magnitudes are judged, so that quiet partials count; below 3e-3 they fade out. */
const POWER_FLOOR = 1e-5;

/**
 * Multi-resolution spectral discriminators whose convolutions run along time with every frequency as a channel.
 *
 * On a CPU they cost a tenth of two-dimensional convolutions, which spend their time outside of matrix products.
 */
export class Discriminator {
  private readonly windows: Tensor[];

  constructor(
    readonly weights: ReadonlyMap<string, Tensor>,
    private readonly sizes: DiscriminatorSizes,
  ) {
    this.windows = sizes.fftSizes.map((size) => keep(hannWindow(size)));
  }

  /** Signals [B, N] -> what a discriminator sees of them at each window length, [B, 3 * bins, F]. */
  see(samples: Tensor): Tensor[] {
    return this.sizes.fftSizes.map((fftSize, i) => spectralFeatures(samples, fftSize, this.windows[i]));
  }

  /** What `see` returned -> one judgement a window length. */
  judge(seen: readonly Tensor[]): Judgement[] {
    return seen.map((input, i) => this.judgeAt(i, input));
  }

  /** Whether backward passes reach the weights; not needed while the generator learns. */
  setTrainable(trainable: boolean): void {
    for (const weight of this.weights.values()) weight.requiresGrad_(trainable);
  }

  private judgeAt(index: number, input: Tensor): Judgement {
    const features: Tensor[] = [];
    let x = input;
    for (let layer = 0; layer <= this.sizes.layers; layer++) {
      x = leakyRelu(this.convolve(`${index}.${layer}`, x));
      features.push(x);
    }
    return { scores: this.convolve(`${index}.scores`, x), features };
  }

  private convolve(name: string, x: Tensor): Tensor {
    const at = (part: string) => this.weights.get(`${name}.${part}`)!;
    const weight = weightNorm(at('direction'), at('magnitude'));
    return conv1d(x, weight, { bias: at('bias'), padding: (weight.shape[2] - 1) / 2 });
  }
}

/** Name and shape of the discriminators' weights. */
export function discriminatorShapes({ fftSizes, width, layers, scores }: DiscriminatorSizes): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  const add = (name: string, outputs: number, inputs: number, kernel = KERNEL): void => {
    shapes.set(`${name}.direction`, [outputs, inputs, kernel]);
    shapes.set(`${name}.magnitude`, [outputs, 1, 1]);
    shapes.set(`${name}.bias`, [outputs]);
  };
  fftSizes.forEach((fftSize, index) => {
    add(`${index}.0`, width, 3 * (fftSize / 2 + 1), 1); // the widest by far: a longer kernel would cost the most here
    for (let layer = 1; layer <= layers; layer++) add(`${index}.${layer}`, width, width);
    add(`${index}.scores`, scores, width);
  });
  return shapes;
}

/** Fresh trainable weights from libtorch's default generator. */
export function initialDiscriminator(sizes: DiscriminatorSizes): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of discriminatorShapes(sizes)) {
    weights.set(name, keep(scope(() => initialWeight(name, shape, weights))).requiresGrad_());
  }
  return weights;
}

function initialWeight(name: string, shape: number[], earlier: ReadonlyMap<string, Tensor>): Tensor {
  if (name.endsWith('.bias')) return zeros(shape);
  // |direction| of every output, so that the weight starts as the direction itself
  if (name.endsWith('.magnitude'))
    return earlier.get(name.replace('magnitude', 'direction'))!.detach().norm([1, 2], true);
  // uniform of variance 1 / fan-in
  return rand(shape)
    .sub(0.5)
    .mul(Math.sqrt(12 / (shape[1] * shape[2])));
}

/** Hinge loss (Lim and Ye 2017) of telling speech from its resynthesis: mean(max(0, 1 - D(x))) + mean(max(0, 1 + D(y))). */
export function discriminatorLoss(real: readonly Judgement[], fake: readonly Judgement[]): Tensor {
  const losses = real.map(({ scores }, i) => {
    const missed = scores.to('float32').neg().add(1).relu().mean();
    return missed.add(fake[i].scores.to('float32').add(1).relu().mean());
  });
  return meanOf(losses);
}

/** -mean(D(y)). */
export function adversarialLoss(fake: readonly Judgement[]): Tensor {
  return meanOf(fake.map(({ scores }) => scores.to('float32').mean().neg()));
}

/** Mean over layers of |f(y) - f(x)|, relative to |f(x)| (Kumar et al. 2019). */
export function featureLoss(real: readonly Judgement[], fake: readonly Judgement[]): Tensor {
  const losses = real.flatMap((judgement, i) =>
    judgement.features.map((feature, k) => {
      const expected = feature.detach().to('float32');
      const distance = fake[i].features[k].to('float32').sub(expected).abs().mean();
      return distance.div(expected.abs().mean().add(1e-3));
    }),
  );
  return meanOf(losses);
}

function meanOf(values: readonly Tensor[]): Tensor {
  return values.reduce((a, b) => a.add(b)).div(values.length);
}

// [B, N] -> [B, 3 * bins, F]: real part, imaginary part and magnitude of every bin, each divided by sqrt(|S|)
function spectralFeatures(samples: Tensor, fftSize: number, window: Tensor): Tensor {
  const spectrum = stft(samples, { fftSize, hopLength: fftSize / 4, window });
  const energy = fftSize * 0.375; // of a Hann window: its squares sum to 3/8 of its length
  const magnitude = powerOf(spectrum).div(energy).add(POWER_FLOOR).sqrt();
  const scale = magnitude.rsqrt();
  const parts = viewAsReal(spectrum).div(Math.sqrt(energy));
  return cat([parts.select(-1, 0).mul(scale), parts.select(-1, 1).mul(scale), magnitude.mul(scale)], 1);
}

function leakyRelu(x: Tensor): Tensor {
  // max(x, slope * x)
  return x.relu().sub(x.neg().relu(), SLOPE);
}
