/**
 * The mel codec's decoder on ggml, for a chunk of T latent frames; src/train/codec/decoder.ts is the same on libtorch.
 *
 * D latent channels, C width, F = T * stackedFrames spectrum frames, K kernel. Shapes are in ggml's order, fastest first.
 */
import type { Backend, Context, Ggml, Graph, Tensor } from '@sled-tts/ggml';
import type { MelCodecConfig } from './config.js';
import { decoderShapes, type WeightArray } from './decoder-weights.js';
import { inverseBasis } from './overlap-add.js';

/** Types that the decoder's matrices can be held in; the rest is float32. */
export type DecoderWeightType = 'f32' | 'f16' | 'bf16' | 'q8_0';

const NORM_EPSILON = 1e-5;
/** exp(6) is above the loudest bin of a full-scale sine in a 1,024-point window (256). */
export const LARGEST_LOG_MAGNITUDE = 6;
const INVERSE_BASIS = 'inverse-basis';
/**
 * ggml multiplies a single column by another kernel than several, which rounds otherwise. With two at least, samples do
 * not depend on how latents were cut into chunks.
 */
const FEWEST_COLUMNS = 2;
/** What mulMat multiplies by: everything else is small. */
const MATRIX = /^(input|upsample|output)\.weight$|\.(expand|contract)\.weight$/;

/** The decoder's weights on a backend. */
export interface LoadedDecoder {
  readonly context: Context;
  readonly weights: ReadonlyMap<string, Tensor>;
}

/** Uploads the weights on worker threads, matrices as `type`. */
export async function loadDecoder(
  ggml: Ggml,
  backend: Backend,
  config: MelCodecConfig,
  arrays: ReadonlyMap<string, WeightArray>,
  type: DecoderWeightType,
): Promise<LoadedDecoder> {
  const context = ggml.context();
  const uploads: [Tensor, Float32Array][] = [];
  const weights = new Map<string, Tensor>();
  const declare = (name: string, tensorType: DecoderWeightType, ne: readonly number[], values: Float32Array): void => {
    const tensor = context.tensor(tensorType, ne, name);
    weights.set(name, tensor);
    uploads.push([tensor, values]);
  };
  for (const name of decoderShapes(config).keys()) {
    const { ne, values } = inGgmlOrder(name, arrays.get(name)!);
    const fits = type !== 'q8_0' || ne[0] % 32 === 0;
    declare(name, MATRIX.test(name) && fits ? type : 'f32', ne, values);
  }
  if (config.decoderSource === 'none') {
    declare(INVERSE_BASIS, 'f32', [config.fftSize + 2, config.fftSize], inverseBasis(config.fftSize));
  }
  const interleave = (weight: Tensor) => MATRIX.test(weight.name) && backend.hasKernelFor(weight); // windows overlap
  await context.allocateAsync(backend, { interleave, zero: false });
  for (const [tensor, values] of uploads) await tensor.setAsync(values);
  return { context, weights };
}

/** libtorch's layout, slowest dimension first, as ggml's; kernels become channels-fastest. */
function inGgmlOrder(name: string, { shape, values }: WeightArray): { ne: number[]; values: Float32Array } {
  if (name === 'input.weight') {
    // [C, D, K] -> rows of a window's K frames of D channels
    const [outputs, inputs, kernel] = shape;
    const rows = transposed(values, { outer: outputs, rows: inputs, columns: kernel });
    return { ne: [kernel * inputs, outputs], values: rows };
  }
  if (name.endsWith('conv.weight')) {
    // [C, 1, K] -> K rows of C channels
    const [channels, , kernel] = shape;
    return { ne: [channels, kernel], values: transposed(values, { outer: 1, rows: channels, columns: kernel }) };
  }
  return { ne: [...shape].reverse(), values };
}

/** [outer, rows, columns] -> [outer, columns, rows]. */
function transposed(values: Float32Array, size: { outer: number; rows: number; columns: number }): Float32Array {
  const { outer, rows, columns } = size;
  const out = new Float32Array(values.length);
  for (let o = 0; o < outer; o++) {
    const base = o * rows * columns;
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) out[base + c * rows + r] = values[base + r * columns + c];
    }
  }
  return out;
}

/** A graph for chunks of `frames` latent frames, with its inputs and outputs. */
export interface DecoderGraph {
  readonly frames: number;
  /** [D, inputKernel - 1 + max(T, 2)]: the frames around the chunk included. */
  readonly latents: Tensor;
  /** What every block's convolution still sees of earlier frames, [C, K - 1, blocks]. */
  readonly history: Tensor;
  /** The same after this chunk, one tensor [C, K - 1] a block. */
  readonly nextHistory: readonly Tensor[];
  /** Without a source, windowed frames [fftSize, F]; with one, what `SourceFilter` reads, [3 * bins + 1, F]. */
  readonly output: Tensor;
  compute(): Promise<void>;
  free(): void;
}

/** Builds the graph of one chunk size, and has it allocated beside other work. */
export async function buildDecoderGraph(
  ggml: Ggml,
  backend: Backend,
  config: MelCodecConfig,
  { weights }: LoadedDecoder,
  frames: number,
): Promise<DecoderGraph> {
  const context = ggml.context();
  const { decoderWidth: C, decoderKernel: K, decoderBlocks, latentDim: D } = config;
  const columns = Math.max(frames, FEWEST_COLUMNS);
  const latents = context.input('f32', [D, config.decoderInputKernel - 1 + columns], 'latents');
  const history = context.input('f32', [C, K - 1, decoderBlocks], 'history');
  const net = new Network(context, weights, config);
  const nextHistory: Tensor[] = [];
  let x = net.input(latents, frames); // [C, F]
  for (let i = 0; i < decoderBlocks; i++) {
    const past = context.ops.view(history, [C, K - 1], { offset: i * C * (K - 1) });
    const { out, tail } = net.block(i, x, past);
    nextHistory.push(tail.output());
    x = out;
  }
  const output = net.output(x).output();
  const graph: Graph = context.graph();
  for (const tail of nextHistory) graph.expand(tail);
  graph.expand(output);
  await graph.allocateAsync(backend);
  const free = () => {
    graph.free();
    context.free();
  };
  return { frames, latents, history, nextHistory, output, compute: () => graph.compute(), free };
}

class Network {
  constructor(
    private readonly context: Context,
    private readonly weights: ReadonlyMap<string, Tensor>,
    private readonly config: MelCodecConfig,
  ) {}

  // latents [D, inputKernel - 1 + T] -> [C, F]
  input(latents: Tensor, frames: number): Tensor {
    const { silu, view, windows } = this.context.ops;
    const { decoderWidth: C, stackedFrames, decoderInputKernel: width } = this.config;
    const mixed = silu(this.linear('input', windows(latents, { width }))); // [C, T]
    return view(this.linear('upsample', mixed), [C, frames * stackedFrames]);
  }

  // x + gate * contract(silu(expand(norm(conv(x))))), and the last K - 1 frames that the convolution saw
  block(index: number, x: Tensor, past: Tensor): { out: Tensor; tail: Tensor } {
    const { add, concat, cont, convDepthwise, mul, reshape, silu, view } = this.context.ops;
    const { decoderWidth: C, decoderKernel: K } = this.config;
    const F = x.ne[1];
    const name = `blocks.${index}`;
    const seen = concat(past, x, 1); // [C, K - 1 + F]
    const tail = cont(view(seen, [C, K - 1], { offset: F * C }));
    const mixed = reshape(convDepthwise(this.at(`${name}.conv.weight`), seen), C, F);
    const normed = this.norm(`${name}.norm`, add(mixed, this.at(`${name}.conv.bias`)));
    const inner = silu(this.linear(`${name}.expand`, normed)); // [inner, F]
    const out = add(x, mul(this.linear(`${name}.contract`, inner), this.at(`${name}.gate`)));
    return { out, tail };
  }

  // [C, F] -> windowed frames [fftSize, F], or the filters of a source [3 * bins + 1, F]
  output(x: Tensor): Tensor {
    const { concat, mulMat } = this.context.ops;
    const bins = this.config.fftSize / 2 + 1;
    const head = this.linear('output', this.norm('norm', x)); // [headSize, F]
    const polar = this.polar(this.rows(head, 0, bins), this.rows(head, bins, bins)); // [2 * bins, F]
    if (this.config.decoderSource === 'none') return mulMat(this.at(INVERSE_BASIS), polar);
    const hiss = this.magnitude(this.rows(head, 2 * bins, bins));
    return concat(concat(polar, hiss, 0), this.rows(head, 3 * bins, 1), 0);
  }

  // exp(m) * (cos(p), sin(p))
  private polar(logMagnitude: Tensor, phase: Tensor): Tensor {
    const { concat, cos, mul, sin } = this.context.ops;
    const size = this.magnitude(logMagnitude);
    return concat(mul(size, cos(phase)), mul(size, sin(phase)), 0);
  }

  private magnitude(logarithm: Tensor): Tensor {
    const { clamp, exp } = this.context.ops;
    return exp(clamp(logarithm, -Number.MAX_VALUE, LARGEST_LOG_MAGNITUDE));
  }

  // Rows [offset, offset + count) of every column, copied.
  private rows(x: Tensor, offset: number, count: number): Tensor {
    const { cont, view } = this.context.ops;
    return cont(view(x, [count, x.ne[1]], { strides: [x.ne[0]], offset }));
  }

  private linear(name: string, x: Tensor): Tensor {
    const { add, mulMat } = this.context.ops;
    return add(mulMat(this.at(`${name}.weight`), x), this.at(`${name}.bias`));
  }

  private norm(name: string, x: Tensor): Tensor {
    const { add, mul, norm } = this.context.ops;
    return add(mul(norm(x, NORM_EPSILON), this.at(`${name}.weight`)), this.at(`${name}.bias`));
  }

  private at(name: string): Tensor {
    return this.weights.get(name)!;
  }
}
