/**
 * The mel codec's decoder on libtorch, for training; src/codec/mel/decoder-graph.ts is the same on ggml.
 *
 * B batch, T latent frames, D latent channels, C width, F = T * stackedFrames spectrum frames, N samples.
 */
import {
  autocast,
  cat,
  conv1d,
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
import type { MelCodecConfig } from '../../codec/mel/config.js';
import { decoderShapes } from '../../codec/mel/decoder-weights.js';
import { Synthesis } from './synthesis.js';

/** Weights by the names of `decoderShapes`. */
export type Weights = ReadonlyMap<string, Tensor>;

/** A block starts as a small correction of its input. */
const INITIAL_GATE = 0.2;
/** Magnitudes start near one whatever the width. */
const INITIAL_OUTPUT_STD = 0.01;
/** Natural logarithm of where the filters of a source of unit power start: about a voice's level. */
const INITIAL_FILTER = -4;

/** Fresh trainable weights from libtorch's default generator. */
export function initialDecoder(config: MelCodecConfig): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of decoderShapes(config)) {
    weights.set(name, keep(scope(() => initialWeight(name, shape, config))).requiresGrad_());
  }
  return weights;
}

function initialWeight(name: string, shape: number[], config: MelCodecConfig): Tensor {
  if (name === 'output.bias' && config.decoderSource === 'pitch') return initialFilters(config);
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

function initialFilters({ fftSize }: MelCodecConfig): Tensor {
  const bins = fftSize / 2 + 1;
  return cat([full([bins], INITIAL_FILTER), zeros([bins]), full([bins], INITIAL_FILTER), zeros([1])]);
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
  readonly synthesis: Synthesis;

  constructor(
    readonly weights: Weights,
    readonly config: MelCodecConfig,
  ) {
    this.blocks = Array.from({ length: config.decoderBlocks }, (_, i) => new Block(weights, config, i));
    this.synthesis = new Synthesis(config);
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
  decodeInContext(latents: Tensor, noiseSeed = 1): Tensor {
    return this.synthesis.samples(this.head(latents), noiseSeed);
  }

  /** Latents with the frames around -> what the synthesis makes sound of, [B, F, headSize]. */
  head(latents: Tensor): Tensor {
    const features = this.features(latents); // [B, F, C]
    const at = (name: string) => this.weights.get(name)!;
    return autocast(null, () => linear(features.to('float32'), at('output.weight'), at('output.bias')));
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
