import { chunkOf, KeptGraphs } from '../kept-graphs.js';
import { inBackground, type CodecBackend } from '../open-backend.js';
import { startFrames } from './layers.js';
import { buildChunkGraph, type ChunkGraph, type ChunkShape } from './network-graph.js';
import { loadNetwork, type LoadedNetwork, type NetworkShape, type NetworkSource } from './network-weights.js';
import { stateLayout, type StateLayout } from './state.js';

/** Frames of the longest chunk. Each reads all weights once, which dozens of frames make up for; longer ones leave the cache. */
const LONGEST_CHUNK = 25;

/** What a chunk becomes, and what the network remembers of it. */
export interface ChunkResult {
  readonly output: Float32Array;
  readonly state: Float32Array;
}

interface OpenNetwork extends CodecBackend {
  readonly network: LoadedNetwork;
}

/** The encoder or the decoder on a backend, shared by all streams; it is loaded beside other work. */
export class CausalNetwork {
  readonly shape: NetworkShape;
  /** Frames without which a stream cannot start, unless it ends before. */
  readonly startFrames: number;
  private readonly loading: Promise<OpenNetwork>;
  private readonly layout: StateLayout;
  private readonly graphs = new KeptGraphs<ChunkGraph>();
  /** A graph's inputs and outputs belong to one chunk at a time. */
  private turn: Promise<unknown> = Promise.resolve();
  private freed = false;

  constructor(opening: Promise<CodecBackend>, source: NetworkSource) {
    const { shape } = source;
    this.shape = shape;
    this.layout = stateLayout(shape.layers);
    this.startFrames = startFrames(shape.layers, shape.columnsPerFrame);
    const longest = Math.max(LONGEST_CHUNK, this.startFrames);
    const load = async ({ ggml, backend }: CodecBackend) => {
      return { ggml, backend, network: await loadNetwork(ggml, backend, source, longest) };
    };
    this.loading = inBackground(opening.then(load));
  }

  /** The state before the first chunk. */
  emptyState(): Float32Array {
    return new Float32Array(this.layout.length);
  }

  /** Frames of the next chunk, where so many are there. */
  chunkFor(frames: number): number {
    return chunkOf(frames, LONGEST_CHUNK);
  }

  /** Columns [L, channels] after `state` -> the output's columns. Calls take turns. */
  run(columns: Float32Array, state: Float32Array, place: Omit<ChunkShape, 'columns'>): Promise<ChunkResult> {
    const result = this.turn.then(() => this.compute(columns, state, place));
    this.turn = result.catch(() => undefined);
    return result;
  }

  /** Frees weights and graphs after the chunks that are being computed. */
  free(): Promise<void> {
    this.freed = true;
    return this.turn.then(async () => {
      this.graphs.free();
      const loaded = await this.loading.catch(() => undefined);
      await loaded?.network.context.freeAsync();
    });
  }

  private async compute(
    columns: Float32Array,
    state: Float32Array,
    place: Omit<ChunkShape, 'columns'>,
  ): Promise<ChunkResult> {
    const loaded = await this.loading;
    if (this.freed) throw new Error('EncodecCodec: the codec was freed while a stream was in use');
    const chunk = { columns: columns.length / this.shape.channels, ...place };
    const graph = await this.graphs.of(`${chunk.isFirst} ${chunk.columns}`, () => this.build(loaded, chunk));
    graph.input.set(columns);
    graph.state.set(state);
    await graph.compute();
    const output = new Float32Array(graph.output.elements);
    graph.output.getInto(output);
    return { output, state: this.nextState(graph) };
  }

  private nextState({ nextState }: ChunkGraph): Float32Array {
    const state = new Float32Array(this.layout.length);
    for (const [name, tensor] of nextState) {
      const { offset } = this.layout.slots.get(name)!;
      tensor.getInto(state.subarray(offset, offset + tensor.elements));
    }
    return state;
  }

  private build({ ggml, backend, network }: OpenNetwork, chunk: ChunkShape): Promise<ChunkGraph> {
    return buildChunkGraph(ggml, backend, network, { layout: this.layout, chunk });
  }
}
