import type { Backend, Context, Ggml, Graph, Tensor } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import { SledGraph, type CacheWindow } from './network.js';
import { TrunkFeed, type PositionInput } from './trunk-feed.js';
import { WatchedTrunk } from './watched-trunk.js';
import type { Weights } from './weights.js';
import type { Workers } from './workers.js';

/** What the noise of a frame does to the energy head, see SledGraph.modulations: [3W] a block, [2W] for the output. */
export type Modulations = readonly Float32Array[];

/** One stream's part of a step: which rows it reads, and the noise [N] of its next frame. */
export interface FrameInput {
  conditional: number;
  /** The same row where there is no guidance. */
  unconditional: number;
  guidanceScale: number;
  noise: Float32Array;
  /** Of `noise`, where a step before has computed them. */
  modulations?: Modulations;
  /** The noise [N] of frames to come, whose modulations the step is to compute. */
  ahead: readonly Float32Array[];
}

/** What a step drew for a stream. */
export interface Frame {
  /** [D] */
  latent: Float32Array;
  /** End-of-speech score before its sigmoid, on the conditional row. */
  endScore: number;
  /** Of FrameInput.ahead. */
  ahead?: readonly Modulations[];
  /** Of each alignment head, how well each position so far fits the conditional row's last one, before softmax; where asked for. */
  headScores?: Float32Array[];
}

/** Draws the next frame of streams. */
export interface Step {
  /** Rows in slot order, undefined where a slot is idle; a frame for each of the n streams. */
  compute(rows: readonly (PositionInput | undefined)[], frames: readonly FrameInput[]): Promise<Frame[]>;
}

/** What a step's graph is built for. */
export interface StepShape {
  rows: number;
  streams: number;
  /** Whether the alignment heads' scores are computed too. */
  watched: boolean;
}

/** What the trunk gives for a row. */
export interface RowResult {
  /** [C] */
  z: Float32Array;
  headScores: Float32Array[] | undefined;
}

/** What graphs are built from. */
export interface GraphParts {
  ggml: Ggml;
  workers: Workers;
  weights: Weights;
  config: SledConfig;
}

/** A graph: allocated once, computed as often as wanted, freed with its context. */
abstract class BuiltGraph {
  protected readonly context: Context;
  protected readonly graph: Graph;

  constructor(
    protected readonly parts: GraphParts,
    private readonly worker: Backend,
  ) {
    this.context = parts.ggml.context();
    this.graph = this.context.graph();
  }

  /** Has it made and given memory, beside other work. Once, before it is computed. */
  async allocate(): Promise<this> {
    try {
      await this.graph.allocateAsync(this.worker);
      return this;
    } catch (error) {
      this.free();
      throw error;
    }
  }

  protected builder(): SledGraph {
    const { parts, worker, context, graph } = this;
    const canCompute = (tensor: Tensor) => worker.canCompute(tensor);
    const tools = { ops: context.ops, expand: (tensor: Tensor) => graph.expand(tensor), canCompute };
    return new SledGraph(tools, parts.weights, parts.config);
  }

  free(): void {
    this.graph.free();
    this.context.free();
  }
}

/** Noise [N] of frames to come -> their modulations, in a graph. */
class NoiseAhead {
  readonly #noise: Tensor;
  readonly #modulations: readonly Tensor[];

  constructor(context: Context, graph: Graph, sled: SledGraph, { noiseDim }: SledConfig, frames: number) {
    this.#noise = context.input('f32', [noiseDim, frames], 'noise ahead');
    this.#modulations = sled.modulations(this.#noise).map((tensor) => graph.expand(tensor.output()));
  }

  set(noise: readonly Float32Array[]): void {
    this.#noise.set(sideBySide(noise));
  }

  /** Of each frame. */
  get(): Modulations[] {
    const parts = this.#modulations.map(columnsOf);
    return parts[0].map((_, frame) => parts.map((columns) => columns[frame]));
  }
}

/** A graph's inputs for modulations of n streams that were computed before. */
class ModulationInputs {
  readonly tensors: readonly Tensor[];

  constructor(context: Context, { headWidth: W, headDepth }: SledConfig, streams: number) {
    this.tensors = Array.from({ length: headDepth + 1 }, (_, i) =>
      context.input('f32', [(i < headDepth ? 3 : 2) * W, streams], `modulation ${i}`),
    );
  }

  set(modulations: readonly Modulations[]): void {
    this.tensors.forEach((input, i) => input.set(sideBySide(modulations.map((parts) => parts[i]))));
  }
}

/** What the noise of a step's frames is to a step in one graph. */
export interface NoiseShape {
  /** Whether modulations of all are given, else they are computed. */
  given: boolean;
  /** Frames to come whose modulations are computed too. */
  ahead: number;
}

/** Computes one position of each of R neighbouring slots, and draws the next frame of n streams: all in one graph. */
export class StepGraph extends BuiltGraph {
  readonly #trunk: WatchedTrunk;
  readonly #conditional: Tensor;
  readonly #unconditional: Tensor;
  readonly #guidance: Tensor;
  readonly #noise: Tensor | undefined;
  readonly #given: ModulationInputs | undefined;
  readonly #ahead: NoiseAhead | undefined;
  readonly #latents: Tensor;
  readonly #endScores: Tensor;

  constructor(
    parts: GraphParts,
    window: CacheWindow,
    { rows, streams, watched, given, ahead }: StepShape & NoiseShape,
  ) {
    super(parts, parts.workers.main);
    const { context, graph } = this;
    const { getRows } = context.ops;
    const sled = this.builder();
    this.#conditional = context.input('i32', [streams], 'conditional');
    this.#unconditional = context.input('i32', [streams], 'unconditional');
    this.#guidance = context.input('f32', [1, streams], 'guidance');
    if (given) this.#given = new ModulationInputs(context, parts.config, streams);
    else this.#noise = context.input('f32', [parts.config.noiseDim, streams], 'noise');
    this.#trunk = new WatchedTrunk({ context, graph, sled, config: parts.config, window, rows, watched });
    const { z } = this.#trunk; // [C, R]
    const conditional = getRows(z, this.#conditional); // [C, n]
    const guided = sled.guide(conditional, getRows(z, this.#unconditional), this.#guidance);
    this.#endScores = graph.expand(sled.endScore(conditional).output());
    const modulations = this.#given?.tensors ?? sled.modulations(this.#noise!);
    this.#latents = graph.expand(sled.energyHead(modulations, guided).output());
    if (ahead > 0) this.#ahead = new NoiseAhead(context, graph, sled, parts.config, ahead);
  }

  async compute(rows: readonly (PositionInput | undefined)[], frames: readonly FrameInput[]): Promise<Frame[]> {
    this.#trunk.set(rows);
    this.#conditional.set(Int32Array.from(frames, (frame) => frame.conditional));
    this.#unconditional.set(Int32Array.from(frames, (frame) => frame.unconditional));
    this.#guidance.set(Float32Array.from(frames, (frame) => frame.guidanceScale));
    this.#noise?.set(sideBySide(frames.map(({ noise }) => noise)));
    this.#given?.set(frames.map(({ modulations }) => modulations!));
    this.#ahead?.set(frames.flatMap(({ ahead }) => ahead));
    this.parts.workers.share(1);
    await this.graph.compute();
    const headScores = this.#trunk.headScores();
    const computed = this.#ahead?.get() ?? [];
    return framesOf(this.#latents, this.#endScores).map((frame, i) => {
      const ahead = computed.splice(0, frames[i].ahead.length);
      return { ...frame, ahead, ...(headScores && { headScores: headScores[frames[i].conditional] }) };
    });
  }
}

/** The trunk of StepGraph for a share of the rows: one position of each of R neighbouring slots -> z. */
export class TrunkGraph extends BuiltGraph {
  readonly #trunk: WatchedTrunk;
  readonly rows: number;

  constructor(parts: GraphParts, window: CacheWindow, shape: Omit<StepShape, 'streams'>, worker: Backend) {
    super(parts, worker);
    const { context, graph } = this;
    const { config } = parts;
    this.rows = shape.rows;
    this.#trunk = new WatchedTrunk({ context, graph, sled: this.builder(), config, window, ...shape });
    graph.expand(this.#trunk.z.output());
  }

  /** z [C] of each row, and the alignment heads' scores of each where they are watched. */
  async compute(rows: readonly (PositionInput | undefined)[]): Promise<RowResult[]> {
    this.#trunk.set(rows);
    await this.graph.compute();
    const headScores = this.#trunk.headScores();
    return columnsOf(this.#trunk.z).map((z, row) => ({ z, headScores: headScores?.[row] }));
  }
}

/** Noise [N] of n frames -> what it does to the energy head, which nothing that was said before changes. */
export class NoiseGraph extends BuiltGraph {
  readonly #ahead: NoiseAhead;

  constructor(parts: GraphParts, frames: number, worker: Backend) {
    super(parts, worker);
    this.#ahead = new NoiseAhead(this.context, this.graph, this.builder(), parts.config, frames);
  }

  async compute(noise: readonly Float32Array[]): Promise<Modulations[]> {
    this.#ahead.set(noise);
    await this.graph.compute();
    return this.#ahead.get();
  }
}

/** z of n streams -> their next frames: guidance, end-of-speech score and the rest of the energy head. */
export class HeadGraph extends BuiltGraph {
  readonly #conditional: Tensor;
  readonly #unconditional: Tensor;
  readonly #guidance: Tensor;
  readonly #modulations: ModulationInputs;
  readonly #latents: Tensor;
  readonly #endScores: Tensor;

  constructor(parts: GraphParts, streams: number) {
    super(parts, parts.workers.main);
    const { context, graph } = this;
    const { width: C } = parts.config;
    const sled = this.builder();
    this.#conditional = context.input('f32', [C, streams], 'conditional');
    this.#unconditional = context.input('f32', [C, streams], 'unconditional');
    this.#guidance = context.input('f32', [1, streams], 'guidance');
    this.#modulations = new ModulationInputs(context, parts.config, streams);
    const guided = sled.guide(this.#conditional, this.#unconditional, this.#guidance);
    this.#endScores = graph.expand(sled.endScore(this.#conditional).output());
    this.#latents = graph.expand(sled.energyHead(this.#modulations.tensors, guided).output());
  }

  /** Results by row; modulations by stream. */
  async compute(
    rows: readonly RowResult[],
    frames: readonly FrameInput[],
    modulations: readonly Modulations[],
  ): Promise<Frame[]> {
    this.#conditional.set(sideBySide(frames.map(({ conditional }) => rows[conditional].z)));
    this.#unconditional.set(sideBySide(frames.map(({ unconditional }) => rows[unconditional].z)));
    this.#guidance.set(Float32Array.from(frames, ({ guidanceScale }) => guidanceScale));
    this.#modulations.set(modulations);
    await this.graph.compute();
    return framesOf(this.#latents, this.#endScores).map((frame, i) => {
      const { headScores } = rows[frames[i].conditional];
      return headScores ? { ...frame, headScores } : frame;
    });
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
    super(parts, parts.workers.main);
    this.#feed = new TrunkFeed(this.context, parts.config, window, 1, capacity);
    this.builder().prefill(this.#feed.inputs, window);
  }

  async compute(entries: readonly PositionInput[]): Promise<void> {
    this.#feed.set(Array.from({ length: this.capacity }, (_, i) => entries[i]));
    this.parts.workers.gather();
    await this.graph.compute();
  }
}

/** Columns [n] -> [n, columns] in ggml's order. */
function sideBySide(columns: readonly Float32Array[]): Float32Array {
  if (columns.length === 1) return columns[0];
  const all = new Float32Array(columns.length * columns[0].length);
  columns.forEach((column, i) => all.set(column, i * column.length));
  return all;
}

/** The columns of an f32 result [n, M]. */
function columnsOf(tensor: Tensor): Float32Array[] {
  const values = tensor.get() as Float32Array;
  const [n, M] = tensor.ne;
  return Array.from({ length: M }, (_, m) => values.subarray(m * n, (m + 1) * n));
}

function framesOf(latents: Tensor, endScores: Tensor): Frame[] {
  const scores = endScores.get() as Float32Array;
  return columnsOf(latents).map((latent, i) => ({ latent: latent.slice(), endScore: scores[i] }));
}
