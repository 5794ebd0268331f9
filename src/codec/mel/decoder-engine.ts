import { chunkOf, KeptGraphs } from '../kept-graphs.js';
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

/** Latent frames of the longest chunk: a second of speech, which bounds the memory of a graph. */
const LONGEST_CHUNK = 25;

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
 * built when a chunk length is first needed.
 */
export class DecoderEngine {
  private readonly loading: Promise<OpenDecoder>;
  private readonly graphs = new KeptGraphs<DecoderGraph>();
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

  /** Latent frames of the next chunk, where so many are there. */
  chunkFor(frames: number): number {
    return chunkOf(frames, LONGEST_CHUNK);
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
    this.graphs.free();
    const loaded = await this.loading.catch(() => undefined);
    await loaded?.decoder.context.freeAsync();
    await loaded?.backend.freeAsync();
  }

  private async run(latents: Float32Array, history: Float32Array): Promise<DecodedChunk> {
    const { ggml, backend, decoder } = await this.loading;
    if (this.freed) throw new Error('MelCodec: the codec was freed while a decoder was in use');
    const { latentDim, decoderInputKernel } = this.config;
    const frames = latents.length / latentDim - (decoderInputKernel - 1);
    const build = () => buildDecoderGraph(ggml, backend, this.config, decoder, frames);
    const graph = await this.graphs.of(String(frames), build);
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
}
