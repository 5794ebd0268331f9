/**
 * The mel codec's decoder on libtorch, for training; src/codec/mel/decoder-graph.ts is the same on ggml.
 *
 * B batch, T latent frames, D latent channels, C width, F = T * stackedFrames spectrum frames, N samples.
 */
import {
  autocast,
  complex,
  conv1d,
  hannWindow,
  istft,
  keep,
  layerNorm,
  linear,
  ones,
  pad,
  rand,
  randn,
  scope,
  zeros,
  full,
  type Tensor,
} from '@sled-tts/torch';
import { hopLengthOf, type MelCodecConfig } from '../../codec/mel/config.js';
import { decoderShapes } from '../../codec/mel/decoder-weights.js';

/** Weights by the names of `decoderShapes`. */
export type Weights = ReadonlyMap<string, Tensor>;

/** A block starts as a small correction of its input. */
const INITIAL_GATE = 0.2;
/** Magnitudes start near one whatever the width. */
const INITIAL_OUTPUT_STD = 0.01;
/** exp(6) is above the loudest bin of a full-scale sine in a 1,024-point window (256). */
export const LARGEST_LOG_MAGNITUDE = 6;

/** Fresh trainable weights from libtorch's default generator. */
export function initialDecoder(config: MelCodecConfig): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of decoderShapes(config)) {
    weights.set(name, keep(scope(() => initialWeight(name, shape))).requiresGrad_());
  }
  return weights;
}

function initialWeight(name: string, shape: number[]): Tensor {
  if (name.endsWith('.gate')) return full(shape, INITIAL_GATE);
  if (name.endsWith('.bias')) return zeros(shape);
  if (name.endsWith('norm.weight')) return ones(shape);
  if (name === 'output.weight') return randn(shape).mul(INITIAL_OUTPUT_STD);
  // uniform(-b, b) with b = 1 / sqrt(fan-in)
  const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
  return rand(shape)
    .sub(0.5)
    .mul(2 / Math.sqrt(fanIn));
}

/** Causal ConvNeXt block (Liu et al. 2022): depthwise convolution, norm, two linear layers, gated residual. */
class Block {
  private readonly at: (name: string) => Tensor;

  constructor(
    weights: Weights,
    private readonly config: MelCodecConfig,
    index: number,
  ) {
    this.at = (name) => weights.get(`blocks.${index}.${name}`)!;
  }

  // x [B, F, C] -> [B, F, C]
  forward(x: Tensor): Tensor {
    const { decoderKernel: K, decoderWidth: C } = this.config;
    const past = pad(x.transpose(1, 2), [K - 1, 0]); // [B, C, K - 1 + F]
    const mixed = conv1d(past, this.at('conv.weight'), { bias: this.at('conv.bias'), groups: C }).transpose(1, 2);
    const normed = layerNorm(mixed, [C], this.at('norm.weight'), this.at('norm.bias'));
    const inner = linear(normed, this.at('expand.weight'), this.at('expand.bias')).silu();
    // x + gate * contract(silu(expand(norm(conv(x)))))
    return x.add(linear(inner, this.at('contract.weight'), this.at('contract.bias')).mul(this.at('gate')));
  }
}

/** Latents to samples, differentiably. */
export class TrainingDecoder {
  private readonly blocks: Block[];
  private readonly window: Tensor;

  constructor(
    readonly weights: Weights,
    readonly config: MelCodecConfig,
  ) {
    this.blocks = Array.from({ length: config.decoderBlocks }, (_, i) => new Block(weights, config, i));
    this.window = keep(hannWindow(config.fftSize));
  }

  /** Latent frames that the first convolution reads before and after those it decodes. */
  get context(): { before: number; after: number } {
    const after = this.config.decoderLookahead;
    return { before: this.config.decoderInputKernel - 1 - after, after };
  }

  /** Whole utterances [B, T, D] -> [B, T * hopLength]; nothing lies before and after them. */
  decode(latents: Tensor): Tensor {
    const { before, after } = this.context;
    return this.decodeInContext(pad(latents, [0, 0, before, after]));
  }

  /** Latents [B, before + T + after, D] with the frames around -> samples of the T inner ones [B, T * hopLength]. */
  decodeInContext(latents: Tensor): Tensor {
    const features = this.features(latents); // [B, F, C]
    const { weights, config } = this;
    return autocast(null, () => {
      const { fftSize, spectrumHopLength: hopLength } = config;
      const length = (features.shape[1] / config.stackedFrames) * hopLengthOf(config);
      const spectrum = polar(
        linear(features.to('float32'), weights.get('output.weight')!, weights.get('output.bias')!),
      );
      return istft(spectrum, { fftSize, hopLength, window: this.window, center: true, length });
    });
  }

  private features(latents: Tensor): Tensor {
    const { weights, config } = this;
    const [C, B] = [config.decoderWidth, latents.shape[0]];
    const at = (name: string) => weights.get(name)!;
    // [B, D, before + T + after] -> [B, T, C]
    const input = conv1d(latents.transpose(1, 2), at('input.weight'), { bias: at('input.bias') }).transpose(1, 2);
    // [B, T, C] -> [B, T, stackedFrames * C] -> [B, F, C]
    let x = linear(input.silu(), at('upsample.weight'), at('upsample.bias')).reshape(B, -1, C);
    for (const block of this.blocks) x = block.forward(x);
    return layerNorm(x, [C], at('norm.weight'), at('norm.bias'));
  }
}

// exp(m) * (cos(p) + i sin(p)): [B, F, 2 * bins] -> complex [B, bins, F]
function polar(output: Tensor): Tensor {
  const [logMagnitude, phase] = output.chunk(2, -1);
  const magnitude = logMagnitude.clamp(null, LARGEST_LOG_MAGNITUDE).exp();
  return complex(magnitude.mul(phase.cos()), magnitude.mul(phase.sin())).transpose(1, 2);
}
