/** A network's weights on a backend. Shapes are in ggml's order, fastest first; channels are fastest. */
import type { Backend, Context, Ggml, Tensor } from '@sled-tts/ggml';
import type { Convolution, Layer, Lstm, Residual, Upsampling } from './layers.js';
import { scratchLength } from './scratch.js';
import type { EncodecWeights } from './weights.js';

/** Types that matrices can be held in; the rest is float32. */
export type NetworkWeightType = 'f32' | 'f16' | 'bf16' | 'q8_0';

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

export interface LoadedNetwork extends NetworkShape {
  readonly context: Context;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** What graphs put columns side by side in; one graph computes at a time. */
  readonly scratch: Tensor;
}

interface Matrix {
  readonly ne: readonly number[];
  /** Puts the values in order: milliseconds of a large matrix, so one after another, as they are uploaded. */
  readonly values: () => Float32Array;
}

/** ggml's quick products of other types than float32 take columns in blocks of 32 and rows by fours; others are slower than float32's. */
const [BLOCK, ROWS] = [32, 4];

const isQuick = (backend: Backend, type: NetworkWeightType, [columns, rows]: readonly number[]) =>
  backend.kernels?.supports(type, columns, rows) || (columns % BLOCK === 0 && rows % ROWS === 0);

/** Uploads the weights of a network whose chunks have at most `frames` frames on worker threads, matrices as `weightType`. */
export async function loadNetwork(
  ggml: Ggml,
  backend: Backend,
  { shape, weights: arrays, weightType }: NetworkSource,
  frames: number,
): Promise<LoadedNetwork> {
  const context = ggml.context();
  const uploads: [Tensor, () => Float32Array][] = [];
  const weights = new Map<string, Tensor>();
  for (const [name, { ne, values }] of matricesOf(shape, arrays)) {
    const type = ne.length === 2 && isQuick(backend, weightType, ne) ? weightType : 'f32';
    const tensor = context.tensor(type, ne, name);
    weights.set(name, tensor);
    uploads.push([tensor, values]);
  }
  const scratch = context.tensor('f32', [scratchLength(shape.layers, frames * shape.columnsPerFrame)], 'scratch');
  await context.allocateAsync(backend, { interleave: backend.hasKernelFor, zero: false }); // windows overlap
  for (const [tensor, values] of uploads) await tensor.setAsync(values());
  return { ...shape, context, weights, scratch };
}

function matricesOf({ layers, columnsPerFrame }: NetworkShape, arrays: EncodecWeights): Map<string, Matrix> {
  const matrices = new Map<string, Matrix>();
  const at = (name: string) => arrays.get(name)!;
  let columns = columnsPerFrame;
  const add = (name: string, matrix: Matrix, bias: Float32Array) => {
    matrices.set(`${name}.weight`, matrix);
    const count = columns;
    matrices.set(`${name}.bias`, { ne: [count * bias.length], values: () => repeated(bias, count) });
  };
  const addConvolution = (layer: Convolution) => {
    columns /= layer.stride;
    add(layer.name, windowMatrix(layer, at(`${layer.name}.weight`)), at(`${layer.name}.bias`));
  };
  for (const layer of layers) {
    if (layer.kind === 'convolution') addConvolution(layer);
    if (layer.kind === 'upsampling') {
      columns *= layer.stride;
      add(layer.name, upsamplingMatrix(layer, at(`${layer.name}.weight`)), at(`${layer.name}.bias`));
    }
    if (layer.kind === 'residual') {
      addConvolution(layer.first);
      const { name } = layer.second;
      if (layer.shortcut)
        add(
          name,
          joinedMatrix(layer, layer.shortcut, arrays),
          sum(at(`${name}.bias`), at(`${layer.shortcut.name}.bias`)),
        );
      else addConvolution(layer.second);
    }
    if (layer.kind === 'lstm') addLstm(layer, arrays, matrices);
  }
  return matrices;
}

/**
 * A bias for each channel of all columns of a frame. A frame is then one row, and an addition takes a quarter of the time
 * that it takes by columns: ggml divides three times a row to find its place.
 */
function repeated(bias: Float32Array, columns: number): Float32Array {
  const all = new Float32Array(bias.length * columns);
  for (let i = 0; i < columns; i++) all.set(bias, i * bias.length);
  return all;
}

const sum = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + b[i]);

/** [Co, Ci, K] -> rows of a window's K columns of Ci channels. */
function windowMatrix({ inputs, outputs, kernel }: Convolution, values: Float32Array): Matrix {
  const inOrder = () => {
    const rows = new Float32Array(values.length);
    for (let o = 0, at = 0; o < outputs; o++) {
      for (let k = 0; k < kernel; k++) {
        for (let c = 0; c < inputs; c++) rows[at++] = values[(o * inputs + c) * kernel + k];
      }
    }
    return rows;
  };
  return { ne: [kernel * inputs, outputs], values: inOrder };
}

/** second [C, Ci, 1] and shortcut [C, C, 1] -> rows [Ci + C]: one product instead of two and a sum. */
function joinedMatrix({ second }: Residual, shortcut: Convolution, arrays: EncodecWeights): Matrix {
  const [inner, outer] = [second, shortcut].map(({ name }) => arrays.get(`${name}.weight`)!);
  const width = second.inputs + shortcut.inputs;
  const inOrder = () => {
    const rows = new Float32Array(width * second.outputs);
    for (let o = 0; o < second.outputs; o++) {
      rows.set(inner.subarray(o * second.inputs, (o + 1) * second.inputs), o * width);
      rows.set(outer.subarray(o * shortcut.inputs, (o + 1) * shortcut.inputs), o * width + second.inputs);
    }
    return rows;
  };
  return { ne: [width, second.outputs], values: inOrder };
}

/**
 * [Ci, Co, 2s] -> a convolution over two columns whose s * Co outputs, Co fastest, are the s columns of one input column:
 * y[t * s + j] = w[.., j + s] x[t - 1] + w[.., j] x[t].
 */
function upsamplingMatrix({ inputs, outputs, stride }: Upsampling, values: Float32Array): Matrix {
  const inOrder = () => {
    const rows = new Float32Array(values.length);
    const kernel = 2 * stride;
    for (let j = 0, at = 0; j < stride; j++) {
      for (let o = 0; o < outputs; o++) {
        for (const tap of [j + stride, j]) {
          for (let c = 0; c < inputs; c++) rows[at++] = values[(c * outputs + o) * kernel + tap];
        }
      }
    }
    return rows;
  };
  return { ne: [2 * inputs, stride * outputs], values: inOrder };
}

function addLstm({ name, width, layers }: Lstm, arrays: EncodecWeights, matrices: Map<string, Matrix>): void {
  for (let i = 0; i < layers; i++) {
    const array = (part: string) => gatesTogether(arrays.get(`${name}.${part}_l${i}`)!);
    matrices.set(`${name}.${i}.input`, { ne: [width, 4 * width], values: () => array('weight_ih') });
    matrices.set(`${name}.${i}.recurrent`, { ne: [width, 4 * width], values: () => array('weight_hh') });
    matrices.set(`${name}.${i}.bias`, { ne: [4 * width], values: () => sum(array('bias_ih'), array('bias_hh')) });
  }
}

/**
 * torch's gates are input, forget, cell, output; here the cell comes last and twice as large, so that one sigmoid takes all
 * four: tanh(x) = 2 * sigmoid(2x) - 1.
 */
function gatesTogether(values: Float32Array): Float32Array {
  const gate = values.length / 4;
  const out = new Float32Array(values.length);
  [0, 1, 3, 2].forEach((from, to) => out.set(values.subarray(from * gate, (from + 1) * gate), to * gate));
  for (let i = 3 * gate; i < out.length; i++) out[i] *= 2;
  return out;
}
