import { inBackground, type CodecBackend } from '../open-backend.js';
import { startFrames, type Layer } from './layers.js';
import { buildChunkGraph, type ChunkGraph, type ChunkShape } from './network-graph.js';
import { loadNetwork, type LoadedNetwork, type NetworkWeightType } from './network-weights.js';
import { stateLayout, type StateLayout } from './state.js';
import type { EncodecWeights } from './weights.js';

/** Frames of the chunks that graphs are kept for, largest first; any length is a sum of them. */
const CHUNK_FRAMES = [25, 5, 1] as const;

export interface NetworkShape {
  readonly layers: readonly Layer[];
  /** Channels of the input. */
  readonly channels: number;
  /** Input columns of a frame: 1 for the decoder, the hop for the encoder. */
  readonly columnsPerFrame: number;
}

export interface NetworkSource {
  readonly shape: NetworkShape;
  readonly weights: EncodecWeights;
  readonly weightType: NetworkWeightType;
}

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
  private readonly graphs = new Map<string, ChunkGraph>();
  /** A graph's inputs and outputs belong to one chunk at a time. */
  private turn: Promise<unknown> = Promise.resolve();
  private freed = false;

  constructor(opening: Promise<CodecBackend>, { shape, weights, weightType }: NetworkSource) {
    this.shape = shape;
    this.layout = stateLayout(shape.layers);
    this.startFrames = startFrames(shape.layers, shape.columnsPerFrame);
    const load = async ({ ggml, backend }: CodecBackend) => {
      return { ggml, backend, network: await loadNetwork(ggml, backend, shape.layers, weights, weightType) };
    };
    this.loading = inBackground(opening.then(load));
  }

  /** The state before the first chunk. */
  emptyState(): Float32Array {
    return new Float32Array(this.layout.length);
  }

  /** The largest chunk of at most `frames` frames that a graph is kept for. */
  chunkFor(frames: number): number {
    return CHUNK_FRAMES.find((size) => size <= frames) ?? 1;
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
      for (const graph of this.graphs.values()) graph.free();
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
    const { graph, isKept } = this.graphOf(loaded, { columns: columns.length / this.shape.channels, ...place });
    try {
      graph.input.set(columns);
      graph.state.set(state);
      await graph.compute();
      const output = new Float32Array(graph.output.elements);
      graph.output.getInto(output);
      return { output, state: this.nextState(graph) };
    } finally {
      if (!isKept) graph.free();
    }
  }

  private nextState({ nextState }: ChunkGraph): Float32Array {
    const state = new Float32Array(this.layout.length);
    for (const [name, tensor] of nextState) {
      const { offset } = this.layout.slots.get(name)!;
      tensor.getInto(state.subarray(offset, offset + tensor.elements));
    }
    return state;
  }

  /** Last chunks have any length: their graphs are built for them alone. */
  private graphOf({ ggml, backend, network }: OpenNetwork, chunk: ChunkShape): { graph: ChunkGraph; isKept: boolean } {
    const key = `${chunk.isFirst} ${chunk.columns}`;
    const known = chunk.isLast ? undefined : this.graphs.get(key);
    if (known) return { graph: known, isKept: true };
    const { channels } = this.shape;
    const graph = buildChunkGraph(ggml, backend, network, { channels, layout: this.layout, chunk });
    if (!chunk.isLast) this.graphs.set(key, graph);
    return { graph, isKept: !chunk.isLast };
  }
}
