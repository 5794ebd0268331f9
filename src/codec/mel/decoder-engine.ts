import { inBackground, openCodecBackend, type CodecBackend, type CodecBackendOptions } from '../open-backend.js';
import type { MelCodecConfig } from './config.js';
import {
  buildDecoderGraph,
  loadDecoder,
  type DecoderGraph,
  type DecoderWeightType,
  type LoadedDecoder,
} from './decoder-graph.js';
import type { WeightArray } from './decoder-weights.js';

export interface DecoderEngineOptions extends CodecBackendOptions {
  /** What the decoder's matrices are held in; f32 without it. */
  readonly weightType?: DecoderWeightType;
}

/** Latent frames of the chunks that graphs exist for, largest first; any length is a sum of them. */
const CHUNK_FRAMES = [25, 5, 1] as const;

/** What a chunk of latents becomes, and what the convolutions remember. */
export interface DecodedChunk {
  /** Windowed frames [F, fftSize] without a source, the filters of one [F, 3 * bins + 1] with it. */
  readonly output: Float32Array;
  /** [blocks, K - 1, C] */
  readonly history: Float32Array;
}

interface OpenDecoder extends CodecBackend {
  readonly decoder: LoadedDecoder;
}

/**
 * The decoder's weights and graphs on a backend of its own, shared by all streams. It is loaded beside other work; graphs are
 * built when a chunk size is first needed.
 */
export class DecoderEngine {
  private readonly loading: Promise<OpenDecoder>;
  private readonly graphs = new Map<number, DecoderGraph>();
  /** A graph's inputs and outputs belong to one chunk at a time. */
  private turn: Promise<unknown> = Promise.resolve();
  private freed = false;

  constructor(
    readonly config: MelCodecConfig,
    weights: ReadonlyMap<string, WeightArray>,
    { weightType = 'f32', ...options }: DecoderEngineOptions,
  ) {
    const load = async ({ ggml, backend }: CodecBackend) => {
      return { ggml, backend, decoder: await loadDecoder(ggml, backend, config, weights, weightType) };
    };
    this.loading = inBackground(openCodecBackend(options).then(load));
  }

  /** The largest chunk of at most `frames` latent frames that there is a graph for. */
  chunkFor(frames: number): number {
    return CHUNK_FRAMES.find((size) => size <= frames) ?? 1;
  }

  /** Values of `history` before the first chunk. */
  emptyHistory(): Float32Array {
    const { decoderWidth, decoderKernel, decoderBlocks } = this.config;
    return new Float32Array(decoderWidth * (decoderKernel - 1) * decoderBlocks);
  }

  /** Latents [inputKernel - 1 + T, D], with T of `chunkFor`, and the history before them. Calls take turns. */
  decode(latents: Float32Array, history: Float32Array): Promise<DecodedChunk> {
    const result = this.turn.then(() => this.run(latents, history));
    this.turn = result.catch(() => undefined);
    return result;
  }

  /** Frees weights, graphs and backend after the chunk that is being decoded. */
  async free(): Promise<void> {
    if (this.freed) return;
    this.freed = true;
    await this.turn;
    for (const graph of this.graphs.values()) graph.free();
    const loaded = await this.loading.catch(() => undefined);
    await loaded?.decoder.context.freeAsync();
    loaded?.backend.free();
  }

  private async run(latents: Float32Array, history: Float32Array): Promise<DecodedChunk> {
    const loaded = await this.loading;
    if (this.freed) throw new Error('MelCodec: the codec was freed while a decoder was in use');
    const { latentDim, decoderInputKernel } = this.config;
    const graph = this.graphOf(loaded, latents.length / latentDim - (decoderInputKernel - 1));
    graph.latents.set(latents, 0);
    graph.history.set(history);
    await graph.compute();
    const next = new Float32Array(history.length);
    const part = history.length / graph.nextHistory.length;
    graph.nextHistory.forEach((tail, i) => tail.getInto(next.subarray(i * part, (i + 1) * part)));
    const output = new Float32Array(graph.output.elements);
    graph.output.getInto(output);
    return { output, history: next };
  }

  private graphOf({ ggml, backend, decoder }: OpenDecoder, frames: number): DecoderGraph {
    const known = this.graphs.get(frames);
    if (known) return known;
    const graph = buildDecoderGraph(ggml, backend, this.config, decoder, frames);
    this.graphs.set(frames, graph);
    return graph;
  }
}
