/**
 * The SLED network on ggml, one step at a time over a key and value cache. The same network on libtorch: src/train/network.ts.
 *
 * R rows (sequences), T positions a row, M = R * T, C width, H heads, E = C / H, F feed-forward width, K cached positions that
 * are looked at, n streams, D latent, W head width, N noise. Shapes are in ggml's order: the first dimension is contiguous.
 */
import type { Ops, Tensor } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import type { KvCache } from './kv-cache.js';
import type { Weights } from './weights.js';

const NORM_EPS = 1e-6; // every LayerNorm of the model; the trunk's RMSNorm takes its own from the config

/** Where a graph's rows lie in the cache. */
export interface CacheWindow {
  cache: KvCache;
  /** First slot of the R consecutive ones. */
  slot: number;
  /** K */
  length: number;
}

/** What a trunk reads, beside the weights. */
export interface TrunkInputs {
  /** i32 [M]; what a position is not is ignored there. */
  tokens: Tensor;
  /** f32 [D, M] */
  latents: Tensor;
  /** f32 [1, M], 1 or 0. */
  isText: Tensor;
  /** f32 [1, M], 1 or 0. */
  isFrame: Tensor;
  /** i32 [M] */
  positions: Tensor;
  /** i32 [M]: where keys and values are written. */
  cacheRows: Tensor;
  /** f16 [K, T, 1, R]: 0 where a position may look, else -Infinity. */
  mask: Tensor;
}

const affine = ({ mulMat, add }: Ops, x: Tensor, at: Weights) => add(mulMat(at.tensor('weight'), x), at.tensor('bias'));
const norm = (ops: Ops, x: Tensor, at: Weights) =>
  ops.add(ops.mul(ops.norm(x, NORM_EPS), at.tensor('weight')), at.tensor('bias'));
/** Part i of a joined product: [parts * size, M] -> [size, M]. */
const part = ({ view }: Ops, joined: Tensor, i: number, size: number) =>
  view(joined, [size, joined.ne[1]], { strides: [joined.ne[0]], offset: i * size });

/** Told a layer's queries [E, H, T, R] once its keys are in the cache. */
export type QueryWatch = (layer: number, query: Tensor) => void;

/** What a graph is built with. */
export interface GraphTools {
  ops: Ops;
  /** Adds a cache write to the graph before what reads it. */
  expand: (tensor: Tensor) => void;
  /** Whether the device has an operation for such tensors. */
  canCompute: (result: Tensor) => boolean;
}

/** The network's parts as graph builders. */
export class SledGraph {
  private readonly ops: Ops;

  constructor(
    private readonly tools: GraphTools,
    private readonly weights: Weights,
    private readonly config: SledConfig,
  ) {
    this.ops = tools.ops;
  }

  /** Text and frames -> hidden vectors z [C, M]. `watch` is told each layer's queries. */
  trunk(inputs: TrunkInputs, window: CacheWindow, watch?: QueryWatch): Tensor {
    let x = this.embed(inputs);
    for (let i = 0; i < this.config.layers; i++) x = this.layer(i, x, inputs, window, watch);
    return this.rms(x, this.weights.at('outputNorm'));
  }

  /** The trunk's cache writes alone: the last layer ends at its keys and values. */
  prefill(inputs: TrunkInputs, window: CacheWindow): void {
    const last = this.config.layers - 1;
    let x = this.embed(inputs);
    for (let i = 0; i < last; i++) x = this.layer(i, x, inputs, window);
    const at = this.weights.at(`layers.${last}`);
    this.remember(last, this.queryKeyValue(this.rms(x, at.at('attentionNorm')), at), inputs, window);
  }

  /** One LayerNorm over every position, text included. */
  private embed({ tokens, latents, isText, isFrame }: TrunkInputs): Tensor {
    const { getRows, mul, add } = this.ops;
    const text = getRows(this.weights.tensor('textEmbedding.weight'), tokens); // [C, M]
    const speech = affine(this.ops, latents, this.weights.at('latentProjection'));
    return norm(this.ops, add(mul(text, isText), mul(speech, isFrame)), this.weights.at('inputNorm'));
  }

  private layer(i: number, x: Tensor, inputs: TrunkInputs, window: CacheWindow, watch?: QueryWatch): Tensor {
    const at = this.weights.at(`layers.${i}`);
    x = this.ops.add(x, this.attention(i, this.rms(x, at.at('attentionNorm')), inputs, window, watch));
    return this.ops.add(x, this.feedForward(this.rms(x, at.at('feedForwardNorm')), at.at('feedForward')));
  }

  private rms(x: Tensor, at: Weights): Tensor {
    return this.ops.mul(this.ops.rmsNorm(x, this.config.normEps), at.tensor('weight'));
  }

  /** [C, M] -> [3C, M] */
  private queryKeyValue(x: Tensor, at: Weights): Tensor {
    return this.ops.mulMat(at.tensor('attention.queryKeyValue.weight'), x);
  }

  /** Rotates head vectors by their positions: part i of [3C, M] -> [E, H, M]. */
  private rotate(joined: Tensor, i: number, positions: Tensor): Tensor {
    const { width: C, heads: H, ropeTheta: theta } = this.config;
    const strides = [C / H, joined.ne[0]];
    const x = this.ops.view(joined, [C / H, H, joined.ne[1]], { strides, offset: i * C });
    return this.ops.rope(x, positions, { mode: 'neox', theta });
  }

  /** Writes keys and values of the new positions into the cache. */
  private remember(i: number, joined: Tensor, { positions, cacheRows }: TrunkInputs, { cache }: CacheWindow): void {
    const { width: C } = this.config;
    const { reshape, setRows } = this.ops;
    const key = reshape(this.rotate(joined, 1, positions), C, joined.ne[1]);
    this.tools.expand(setRows(cache.keys[i], key, cacheRows));
    this.tools.expand(setRows(cache.values[i], part(this.ops, joined, 2, C), cacheRows));
  }

  private attention(i: number, x: Tensor, inputs: TrunkInputs, window: CacheWindow, watch?: QueryWatch): Tensor {
    const { width: C, heads: H } = this.config;
    const { reshape, permute, mulMat } = this.ops;
    const at = this.weights.at(`layers.${i}`);
    const joined = this.queryKeyValue(x, at);
    this.remember(i, joined, inputs, window);
    const [, T, , R] = inputs.mask.ne;
    const query = reshape(this.rotate(joined, 0, inputs.positions), C / H, H, T, R);
    watch?.(i, query);
    const attended = this.attend(
      permute(query, 0, 2, 1, 3), // [E, H, T, R] -> [E, T, H, R]
      this.remembered(window.cache.keys[i], window, R),
      this.remembered(window.cache.values[i], window, R),
      inputs.mask,
    );
    return mulMat(at.tensor('attention.output.weight'), reshape(attended, C, T * R));
  }

  /**
   * softmax(key^T query / sqrt(E) + mask) of the values: query [E, T, H, R], key, value [E, K, H, R] -> [E, H, T, R]. CUDA's
   * flash kernels are for some head sizes only.
   */
  private attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor): Tensor {
    const { flashAttention, mulMat, softMax, permute, cont } = this.ops;
    const scale = 1 / Math.sqrt(query.ne[0]);
    const attended = flashAttention(query, key, value, { mask, scale });
    if (this.tools.canCompute(attended)) return attended;
    const weights = softMax(mulMat(cont(key), cont(query)), { mask, scale }); // [K, T, H, R]
    const mixed = mulMat(cont(permute(value, 1, 0, 2, 3)), weights); // [K, E, H, R] -> [E, T, H, R]
    return cont(permute(mixed, 0, 2, 1, 3));
  }

  /** The first K positions of R slots: [C, slots * P + 1] -> [E, K, H, R]. */
  private remembered(cached: Tensor, { cache, slot, length }: CacheWindow, R: number): Tensor {
    const { width: C, heads: H } = this.config;
    const E = C / H;
    const offset = slot * cache.positions * C;
    const heads = this.ops.view(cached, [E, H, length, R], { strides: [E, C, C * cache.positions], offset });
    return this.ops.permute(heads, 0, 2, 1, 3);
  }

  /** How well each cached position fits a head's queries, before scaling and softmax, which a flash kernel keeps to itself: [K, T, R]. */
  headScores(layer: number, head: number, query: Tensor, window: CacheWindow): Tensor {
    const { mulMat, view } = this.ops;
    const [E, H, T, R] = query.ne;
    const { cache, slot, length: K } = window;
    const C = E * H;
    const offset = slot * cache.positions * C + head * E;
    const keys = view(cache.keys[layer], [E, K, R], { strides: [C, C * cache.positions], offset });
    return mulMat(keys, view(query, [E, T, R], { strides: [C, C * T], offset: head * E }));
  }

  /** down(silu(gate(x)) * up(x)) */
  private feedForward(x: Tensor, at: Weights): Tensor {
    const { ffnWidth: F } = this.config;
    const joined = this.ops.mulMat(at.tensor('gateUp.weight'), x); // [2F, M]
    const hidden = this.ops.swigluSplit(part(this.ops, joined, 0, F), part(this.ops, joined, 1, F));
    return this.ops.mulMat(at.tensor('down.weight'), hidden);
  }

  /** z_u + guidance * (z_c - z_u). conditional, unconditional [C, n], guidance [1, n]. */
  guide(conditional: Tensor, unconditional: Tensor, guidance: Tensor): Tensor {
    const { add, sub, mul } = this.ops;
    return add(unconditional, mul(sub(conditional, unconditional), guidance));
  }

  /** z [C, n] -> the end-of-speech score before its sigmoid, [1, n]. */
  endScore(z: Tensor): Tensor {
    return this.ops.mulMat(this.weights.tensor('endHead.weight'), z);
  }

  /** noise [N, n] -> what it does to each block of the energy head, [3W, n], and to its output, [2W, n]. */
  modulations(noise: Tensor): Tensor[] {
    const { ops } = this;
    const head = this.weights.at('energyHead');
    const y = affine(ops, noise, head.at('noiseProjection'));
    const blocks = Array.from({ length: this.config.headDepth }, (_, i) => {
      const block = head.at(`blocks.${i}`);
      return affine(ops, ops.silu(norm(ops, y, block.at('noiseNorm'))), block.at('modulation'));
    });
    return [...blocks, affine(ops, ops.silu(y), head.at('outputModulation'))];
  }

  /** What modulations() gave, z [C, n] -> one latent frame a stream, [D, n]. */
  energyHead(modulations: readonly Tensor[], z: Tensor): Tensor {
    const { ops } = this;
    const { headWidth: W, headDepth } = this.config;
    const head = this.weights.at('energyHead');
    let x = affine(ops, z, head.at('conditionProjection'));
    for (let i = 0; i < headDepth; i++) {
      const block = head.at(`blocks.${i}`);
      const h = this.modulate(x, modulations[i]);
      const change = affine(ops, ops.silu(affine(ops, h, block.at('first'))), block.at('second'));
      x = ops.add(x, ops.mul(change, part(ops, modulations[i], 2, W)));
    }
    return affine(ops, this.modulate(x, modulations[headDepth]), head.at('output'));
  }

  /** LN(x) * (1 + scale) + shift, with shift and scale the first two parts of the modulation. */
  private modulate(x: Tensor, modulation: Tensor): Tensor {
    const { ops } = this;
    const { headWidth: W } = this.config;
    const plain = ops.norm(x, NORM_EPS);
    const scaled = ops.add(plain, ops.mul(plain, part(ops, modulation, 1, W)));
    return ops.add(scaled, part(ops, modulation, 0, W));
  }
}
