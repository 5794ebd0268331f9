/** A network's weights on a backend. Shapes are in ggml's order, fastest first; channels are fastest. */
import type { Backend, Context, Ggml, Tensor } from '@sled-tts/ggml';
import { convolutionsOf, type Convolution, type Layer, type Lstm, type Upsampling } from './layers.js';
import type { EncodecWeights } from './weights.js';

/** Types that matrices can be held in; the rest is float32. */
export type NetworkWeightType = 'f32' | 'f16' | 'bf16' | 'q8_0';

export interface LoadedNetwork {
  readonly layers: readonly Layer[];
  readonly context: Context;
  readonly weights: ReadonlyMap<string, Tensor>;
}

interface Matrix {
  readonly ne: readonly number[];
  /** Puts the values in order: milliseconds of a large matrix, so one after another, as they are uploaded. */
  readonly values: () => Float32Array;
}

/** Uploads the weights of `layers` on worker threads, matrices as `type`. */
export async function loadNetwork(
  ggml: Ggml,
  backend: Backend,
  layers: readonly Layer[],
  arrays: EncodecWeights,
  type: NetworkWeightType,
): Promise<LoadedNetwork> {
  const context = ggml.context();
  const uploads: [Tensor, () => Float32Array][] = [];
  const weights = new Map<string, Tensor>();
  for (const [name, { ne, values }] of matricesOf(layers, arrays)) {
    const isMatrix = ne.length === 2 && (type !== 'q8_0' || ne[0] % 32 === 0);
    const tensor = context.tensor(isMatrix ? type : 'f32', ne, name);
    weights.set(name, tensor);
    uploads.push([tensor, values]);
  }
  await context.allocateAsync(backend, { zero: false });
  for (const [tensor, values] of uploads) await tensor.setAsync(values());
  return { layers, context, weights };
}

function matricesOf(layers: readonly Layer[], arrays: EncodecWeights): Map<string, Matrix> {
  const matrices = new Map<string, Matrix>();
  for (const layer of convolutionsOf(layers)) {
    const values = arrays.get(`${layer.name}.weight`)!;
    const matrix = layer.kind === 'convolution' ? windowMatrix(layer, values) : upsamplingMatrix(layer, values);
    matrices.set(`${layer.name}.weight`, matrix);
    matrices.set(`${layer.name}.bias`, { ne: [layer.outputs], values: () => arrays.get(`${layer.name}.bias`)! });
  }
  for (const layer of layers) {
    if (layer.kind === 'lstm') addLstm(layer, arrays, matrices);
  }
  return matrices;
}

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
    const bias = () => {
      const recurrent = array('bias_hh');
      return array('bias_ih').map((value, n) => value + recurrent[n]);
    };
    matrices.set(`${name}.${i}.input`, { ne: [width, 4 * width], values: () => array('weight_ih') });
    matrices.set(`${name}.${i}.recurrent`, { ne: [width, 4 * width], values: () => array('weight_hh') });
    matrices.set(`${name}.${i}.bias`, { ne: [4 * width], values: bias });
  }
}

/** torch's gates are input, forget, cell, output; here the cell comes last, so that one sigmoid takes the other three. */
function gatesTogether(values: Float32Array): Float32Array {
  const gate = values.length / 4;
  const out = new Float32Array(values.length);
  [0, 1, 3, 2].forEach((from, to) => out.set(values.subarray(from * gate, (from + 1) * gate), to * gate));
  return out;
}
