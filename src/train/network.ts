/**
 * The SLED network on libtorch, for whole sequences (training). The same network on ggml: src/generate/.
 *
 * B batch, S positions (text and frames in sequence order), C width, H heads, E = C / H, F feed-forward width,
 * M predicted frames of the batch, D latent, W head width, N noise.
 */
import {
  arange, causalAttention, dropout, embedding, gatedAdd, joinRows, layerNorm, linear, modulatedNorm, noGrad, normSilu,
  rmsNorm, rmsNormed, rotateHeads, swiglu, where, type Tensor,
} from '@sled-tts/torch'; // prettier-ignore
import type { SledConfig } from '../model/config.js';
import { ParameterScope, type Parameters } from './parameters.js';

const NORM_EPS = 1e-6; // every LayerNorm of the model; the trunk's RMSNorm takes its own from the config

const affine = (x: Tensor, at: ParameterScope) => linear(x, at.tensor('weight'), at.tensor('bias'));
const norm = (x: Tensor, at: ParameterScope) =>
  layerNorm(x, [x.shape[x.shape.length - 1]], at.tensor('weight'), at.tensor('bias'), NORM_EPS);

/** Rotary position tables: cos and sin, each [S, E / 2]. */
export interface Rotary {
  cos: Tensor;
  sin: Tensor;
}

/** Tables for positions 0 .. S - 1 on a device: angle = position * theta^(-2i / E). */
export function rotaryTables(positions: number, headSize: number, theta: number, device = 'cpu'): Rotary {
  const options = { dtype: 'float32', device } as const;
  return noGrad(() => {
    const exponents = arange(0, headSize / 2, 1, options).mul(-(2 / headSize) * Math.log(theta));
    const angles = arange(0, positions, 1, options).unsqueeze(1).mul(exponents.exp().unsqueeze(0)); // [S, E / 2]
    return { cos: angles.cos(), sin: angles.sin() };
  });
}

/** Queries and keys of one head after rotation, each [B, S, E]: what an alignment loss looks at. */
export interface HeadView {
  query: Tensor;
  key: Tensor;
}

export class DecoderLayer {
  private readonly heads: number;

  constructor(
    private readonly params: ParameterScope,
    private readonly config: SledConfig,
  ) {
    this.heads = config.heads;
  }

  /** x [B, S, C] -> [B, S, C]. `watch` is told the queries and keys. */
  forward(x: Tensor, rotary: Rotary, training: boolean, watch?: (query: Tensor, key: Tensor) => void): Tensor {
    const { dropout: rate } = this.config;
    x = x.add(dropout(this.attention(this.rms(x, 'attentionNorm'), rotary, training, watch), rate, training));
    return x.add(dropout(this.feedForward(this.rms(x, 'feedForwardNorm'), training), rate, training));
  }

  private rms(x: Tensor, name: string): Tensor {
    return rmsNormed(x, this.params.at(name).tensor('weight'), this.config.normEps);
  }

  private attention(x: Tensor, rotary: Rotary, training: boolean, watch?: (q: Tensor, k: Tensor) => void): Tensor {
    const [B, S, C] = x.shape;
    const at = this.params.at('attention');
    const weight = joinRows(['query', 'key', 'value'].map((name) => at.at(name).tensor('weight'))); // [3C, C]
    const [q, k, value] = rotateHeads(linear(x, weight), rotary.cos, rotary.sin, this.heads); // [B, H, S, E]
    watch?.(q, k);
    const attended = causalAttention(q, k, value, training ? this.config.attentionDropout : 0);
    return linear(attended.transpose(1, 2).reshape(B, S, C), at.at('output').tensor('weight'));
  }

  /** down(silu(gate(x)) * up(x)) */
  private feedForward(x: Tensor, training: boolean): Tensor {
    const at = this.params.at('feedForward');
    const weight = joinRows([at.at('gate').tensor('weight'), at.at('up').tensor('weight')]); // [2F, C]
    const hidden = dropout(swiglu(linear(x, weight)), this.config.activationDropout, training);
    return linear(hidden, at.at('down').tensor('weight'));
  }
}

export class EnergyHead {
  private readonly blocks: ParameterScope[];

  constructor(
    private readonly params: ParameterScope,
    config: SledConfig,
  ) {
    this.blocks = Array.from({ length: config.headDepth }, (_, i) => params.at(`blocks.${i}`));
  }

  /** z [M, C] -> [M, W]: the condition, which every sample drawn for these frames shares. */
  condition(z: Tensor): Tensor {
    const projection = this.params.at('conditionProjection');
    return affine(z, projection).to(projection.tensor('bias').dtype); // a residual stream, as the trunk's
  }

  /** noise [M, N], condition [M, W] -> one sample of each frame's latent [M, D]. */
  forward(noise: Tensor, condition: Tensor): Tensor {
    const y = affine(noise, this.params.at('noiseProjection'));
    let x = condition;
    for (const block of this.blocks) {
      const at = block.at('noiseNorm');
      const signal = normSilu(y, at.tensor('weight'), at.tensor('bias'), NORM_EPS);
      const [shift, scale, gate] = affine(signal, block.at('modulation')).chunk(3, -1);
      const h = affine(modulatedNorm(x, shift, scale, NORM_EPS), block.at('first'));
      x = gatedAdd(x, gate, affine(h.silu(), block.at('second')));
    }
    const [shift, scale] = affine(y.silu(), this.params.at('outputModulation')).chunk(2, -1);
    return affine(modulatedNorm(x, shift, scale, NORM_EPS), this.params.at('output'));
  }
}

export class Sled {
  readonly energyHead: EnergyHead;
  private readonly root: ParameterScope;
  private readonly layers: DecoderLayer[];

  constructor(
    readonly parameters: Parameters,
    readonly config: SledConfig,
  ) {
    this.root = new ParameterScope(parameters);
    this.layers = Array.from(
      { length: config.layers },
      (_, i) => new DecoderLayer(this.root.at(`layers.${i}`), config),
    );
    this.energyHead = new EnergyHead(this.root.at('energyHead'), config);
  }

  /** Where the parameters are, `cpu` or `cuda:N`, and so what it computes with must be. */
  get device(): string {
    return this.root.at('outputNorm').tensor('weight').device;
  }

  /**
   * Text and frames in sequence order to hidden vectors z [B, S, C]; position t's z predicts what follows it.
   * tokens [B, S] int64, latents [B, S, D], isFrame [B, S] bool; what a position is not is ignored there.
   */
  trunk(
    { tokens, latents, isFrame }: { tokens: Tensor; latents: Tensor; isFrame: Tensor },
    {
      training = false,
      watch,
    }: { training?: boolean; watch?: (layer: number, query: Tensor, key: Tensor) => void } = {},
  ): Tensor {
    const { width, heads, ropeTheta, normEps } = this.config;
    const rotary = rotaryTables(tokens.shape[1], width / heads, ropeTheta, tokens.device);
    // The residual stream has the weights' type: float32 also under autocast.
    const weight = this.root.at('textEmbedding').tensor('weight');
    // A frequent token's gradient is a sum of hundreds, which is taken in float32.
    const text = embedding(weight.to('float32'), tokens).to(weight.dtype); // [B, S, C]
    const speech = affine(latents, this.root.at('latentProjection'));
    const joined = where(isFrame.unsqueeze(-1), speech.to(weight.dtype), text);
    let x = norm(joined, this.root.at('inputNorm'));
    this.layers.forEach((layer, i) => (x = layer.forward(x, rotary, training, watch && ((q, k) => watch(i, q, k)))));
    return rmsNorm(x, [width], this.root.at('outputNorm').tensor('weight'), normEps);
  }

  /** z [M, C] -> the end-of-speech score before its sigmoid, [M]. */
  endScore(z: Tensor): Tensor {
    return linear(z, this.root.at('endHead').tensor('weight')).squeeze(-1);
  }
}
