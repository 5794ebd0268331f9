import type { Backend, Context, Ggml, Graph, Tensor } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import { SledGraph, type CacheWindow, type TrunkInputs } from './network.js';
import type { Weights } from './weights.js';

/** What a sequence holds at a position: a token id, or a latent frame [D]. */
export type Position = number | Float32Array;

/** A position to compute: what it holds, its number in its row, and the slot of that row. */
export interface PositionInput {
  content: Position;
  position: number;
  slot: number;
}

/** One stream's part of a step: which rows it reads, and the noise [N] of its next frame. */
export interface FrameInput {
  conditional: number;
  /** The same row where there is no guidance. */
  unconditional: number;
  guidanceScale: number;
  noise: Float32Array;
}

/** What a step drew for a stream. */
export interface Frame {
  /** [D] */
  latent: Float32Array;
  /** End-of-speech score before its sigmoid, on the conditional row. */
  endScore: number;
  /** Of each alignment head, how well each position so far fits the conditional row's last one, before softmax; where asked for. */
  headScores?: Float32Array[];
}

/** What graphs are built from. */
export interface GraphParts {
  ggml: Ggml;
  backend: Backend;
  weights: Weights;
  config: SledConfig;
}

const MINUS_INFINITY = 0xfc00; // float16

/** A trunk's inputs, with the arrays that are copied into them before each computation. */
class TrunkFeed {
  readonly inputs: TrunkInputs;
  readonly #tokens: Int32Array;
  readonly #latents: Float32Array;
  readonly #isText: Float32Array;
  readonly #isFrame: Float32Array;
  readonly #positions: Int32Array;
  readonly #cacheRows: Int32Array;
  readonly #mask: Uint16Array;

  /** M = rows * perRow positions. */
  constructor(
    context: Context,
    { latentDim: D }: SledConfig,
    private readonly window: CacheWindow,
    rows: number,
    perRow: number,
  ) {
    const M = rows * perRow;
    this.inputs = {
      tokens: context.input('i32', [M], 'tokens'),
      latents: context.input('f32', [D, M], 'latents'),
      isText: context.input('f32', [1, M], 'isText'),
      isFrame: context.input('f32', [1, M], 'isFrame'),
      positions: context.input('i32', [M], 'positions'),
      cacheRows: context.input('i32', [M], 'cacheRows'),
      mask: context.input('f16', [window.length, perRow, 1, rows], 'mask'),
    };
    this.#tokens = new Int32Array(M);
    this.#latents = new Float32Array(D * M);
    this.#isText = new Float32Array(M);
    this.#isFrame = new Float32Array(M);
    this.#positions = new Int32Array(M);
    this.#cacheRows = new Int32Array(M);
    this.#mask = new Uint16Array(window.length * M);
  }

  /** Entry m for each of the M positions; undefined ones are computed and thrown away. */
  set(entries: readonly (PositionInput | undefined)[]): void {
    this.#mask.fill(MINUS_INFINITY);
    entries.forEach((entry, m) => this.#place(entry, m));
    const { inputs } = this;
    inputs.tokens.set(this.#tokens);
    inputs.latents.set(this.#latents);
    inputs.isText.set(this.#isText);
    inputs.isFrame.set(this.#isFrame);
    inputs.positions.set(this.#positions);
    inputs.cacheRows.set(this.#cacheRows);
    inputs.mask.set(this.#mask);
  }

  #place(entry: PositionInput | undefined, m: number): void {
    const { cache, length } = this.window;
    const { content = 0, position = 0, slot = 0 } = entry ?? {};
    const isText = typeof content === 'number';
    this.#tokens[m] = isText ? content : 0;
    if (!isText) this.#latents.set(content, m * content.length);
    this.#isText[m] = isText ? 1 : 0;
    this.#isFrame[m] = isText ? 0 : 1;
    this.#positions[m] = position;
    this.#cacheRows[m] = entry ? cache.rowOf(slot, position) : cache.padding;
    // A position sees itself and what came before; padding sees one position, since a softmax over nothing is no number.
    this.#mask.fill(0, m * length, m * length + position + 1);
  }
}

/** A built and allocated graph: computed as often as wanted, freed with its context. */
abstract class BuiltGraph {
  protected readonly context: Context;
  protected readonly graph: Graph;

  constructor(protected readonly parts: GraphParts) {
    this.context = parts.ggml.context();
    this.graph = this.context.graph();
  }

  protected builder(): SledGraph {
    const { weights, config } = this.parts;
    return new SledGraph(this.context.ops, (tensor) => this.graph.expand(tensor), weights, config);
  }

  free(): void {
    this.graph.free();
    this.context.free();
  }
}

/** Computes one position of each of R neighbouring slots, and draws the next frame of n streams. */
export class StepGraph extends BuiltGraph {
  readonly #feed: TrunkFeed;
  readonly #conditional: Tensor;
  readonly #unconditional: Tensor;
  readonly #guidance: Tensor;
  readonly #noise: Tensor;
  readonly #latents: Tensor;
  readonly #endScores: Tensor;
  /** [K, 1, R] of each alignment head. */
  readonly #headScores: Tensor[] = [];

  constructor(
    parts: GraphParts,
    private readonly window: CacheWindow,
    rows: number,
    readonly streams: number,
    /** Whether the alignment heads' scores are computed too. */
    watched: boolean,
  ) {
    super(parts);
    const { context, graph } = this;
    const { getRows } = context.ops;
    const sled = this.builder();
    this.#feed = new TrunkFeed(context, parts.config, window, rows, 1);
    this.#conditional = context.input('i32', [streams], 'conditional');
    this.#unconditional = context.input('i32', [streams], 'unconditional');
    this.#guidance = context.input('f32', [1, streams], 'guidance');
    this.#noise = context.input('f32', [parts.config.noiseDim, streams], 'noise');
    const watch = (layer: number, query: Tensor) => {
      for (const [l, head] of parts.config.alignmentHeads)
        if (l === layer) this.#headScores.push(graph.expand(sled.headScores(l, head, query, window).output()));
    };
    const z = sled.trunk(this.#feed.inputs, window, watched ? watch : undefined); // [C, R]
    const conditional = getRows(z, this.#conditional); // [C, n]
    const guided = sled.guide(conditional, getRows(z, this.#unconditional), this.#guidance);
    this.#endScores = graph.expand(sled.endScore(conditional).output());
    this.#latents = graph.expand(sled.energyHead(this.#noise, guided).output());
    graph.allocate(parts.backend);
  }

  /** Rows in slot order, undefined where a slot is idle; a frame for each of the n streams. */
  async compute(rows: readonly (PositionInput | undefined)[], frames: readonly FrameInput[]): Promise<Frame[]> {
    const { latentDim: D, noiseDim: N } = this.parts.config;
    this.#feed.set(rows);
    this.#conditional.set(Int32Array.from(frames, (frame) => frame.conditional));
    this.#unconditional.set(Int32Array.from(frames, (frame) => frame.unconditional));
    this.#guidance.set(Float32Array.from(frames, (frame) => frame.guidanceScale));
    const noise = new Float32Array(N * frames.length);
    frames.forEach((frame, i) => noise.set(frame.noise, i * N));
    this.#noise.set(noise);
    await this.graph.compute();
    const [latents, endScores] = [this.#latents.get() as Float32Array, this.#endScores.get() as Float32Array];
    const heads = this.#headScores.map((scores) => scores.get() as Float32Array);
    return frames.map(({ conditional }, i) => ({
      latent: latents.slice(i * D, (i + 1) * D),
      endScore: endScores[i],
      ...(heads.length > 0 && { headScores: heads.map((scores) => this.#scaled(scores, conditional, rows)) }),
    }));
  }

  /** A row of one head's scores [K, 1, R], as far as its positions go. */
  #scaled(scores: Float32Array, row: number, rows: readonly (PositionInput | undefined)[]): Float32Array {
    const { width, heads } = this.parts.config;
    const first = row * this.window.length;
    const own = scores.slice(first, first + (rows[row]?.position ?? 0) + 1);
    return own.map((score) => score / Math.sqrt(width / heads));
  }
}

/** Puts up to T positions of one slot into the cache and draws nothing. */
export class PrefillGraph extends BuiltGraph {
  readonly #feed: TrunkFeed;

  constructor(
    parts: GraphParts,
    window: CacheWindow,
    /** T */
    readonly capacity: number,
  ) {
    super(parts);
    this.#feed = new TrunkFeed(this.context, parts.config, window, 1, capacity);
    this.builder().prefill(this.#feed.inputs, window);
    this.graph.allocate(parts.backend);
  }

  async compute(entries: readonly PositionInput[]): Promise<void> {
    this.#feed.set(Array.from({ length: this.capacity }, (_, i) => entries[i]));
    await this.graph.compute();
  }
}
