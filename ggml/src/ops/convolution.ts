import { checkDimensions, type Context } from '../context.js';
import { ShapeError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import {
  expectPacked,
  expectInteger,
  expectOptions,
  expectShape,
  expectTensors,
  expectType,
  expectUnitStride,
} from './checks.js';
import { TENSOR_TYPES } from '../tensor-type.js';
import { mulMat } from './matrix.js';
import { permute, reshape, view } from './shape.js';

export interface ConvolutionOptions {
  readonly stride?: number;
  /** Zeros at both ends of time. */
  readonly padding?: number;
  readonly dilation?: number;
}

/** Length of a convolution's output; an input shorter than the kernel's reach is a ShapeError. */
function outputLength(where: string, length: number, kernel: number, options: ConvolutionOptions): number {
  const { stride = 1, padding = 0, dilation = 1 } = options;
  expectInteger(where, 'stride', stride, 1);
  expectInteger(where, 'padding', padding, 0);
  expectInteger(where, 'dilation', dilation, 1);
  const output = Math.floor((length + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  if (output < 1 || length + 2 * padding < dilation * (kernel - 1) + 1) {
    throw new ShapeError(
      `${where}: expected at least ${dilation * (kernel - 1) + 1} samples with padding, got ${length + 2 * padding}`,
    );
  }
  return output;
}

/** Windows of time as columns: kernel [K, Ci, ..] (shape only), x [T, Ci, B] -> f32 or f16 [Ci * K, T', B]. */
export function im2col(
  context: Context,
  kernel: Tensor,
  x: Tensor,
  options: ConvolutionOptions & { readonly type?: 'f32' | 'f16' } = {},
): Tensor {
  const op = 'im2col';
  expectTensors(context, op, { kernel, x });
  expectOptions(op, options);
  const { stride = 1, padding = 0, dilation = 1, type = 'f32' } = options;
  if (type !== 'f32' && type !== 'f16') throw new TypeError(`${op}: expected type f32 or f16, got ${String(type)}`);
  expectType(op, 'x', x, type === 'f32' ? ['f32'] : ['f32', 'f16']);
  expectUnitStride(op, 'x', x);
  expectShape(x.ne[1] === kernel.ne[1] && x.ne[3] === 1, op, 'kernel [K, Ci, ..] and x [T, Ci, B]', kernel, x);
  const length = outputLength(op, x.ne[0], kernel.ne[0], options);
  const ne = checkDimensions(op, type, [kernel.ne[0] * kernel.ne[1], length, x.ne[2]]);
  const args = [kernel, x, stride, 0, padding, 0, dilation, 0, false, TENSOR_TYPES[type].id] as const;
  return context.make(op, [kernel, x], { type, ne }, 'im2col', ...args);
}

/** Convolution over time, time fastest: kernel f32 or f16 [K, Ci, Co], x f32 [T, Ci, B] -> [T', Co, B]. */
export function conv1d(context: Context, kernel: Tensor, x: Tensor, options: ConvolutionOptions = {}): Tensor {
  const op = 'conv1d';
  expectTensors(context, op, { kernel, x });
  expectType(op, 'kernel', kernel, ['f32', 'f16']);
  expectShape(kernel.ne[3] === 1, op, 'kernel [K, Ci, Co]', kernel);
  const [width, inputs, outputs] = kernel.ne;
  const columns = im2col(context, kernel, x, { ...options, type: kernel.type === 'f32' ? 'f32' : 'f16' });
  const [, length, batch] = columns.ne;
  // [Ci * K, T' * B] x [Ci * K, Co] -> [T' * B, Co]: time stays fastest
  const flat = reshape(context, columns, width * inputs, length, batch);
  return mulMat(context, flat, reshape(context, kernel, width * inputs, outputs, 1));
}

/** Each channel with its own kernel, channels fastest: kernel f32 [K, C], x f32 [K - 1 + T, C, B] (time fastest) -> [C, T, B]. */
export function ssmConv(context: Context, kernel: Tensor, x: Tensor): Tensor {
  const op = 'ssmConv';
  expectTensors(context, op, { kernel, x });
  expectType(op, 'kernel', kernel, ['f32']);
  expectType(op, 'x', x, ['f32']);
  const fits = kernel.ne[2] === 1 && kernel.ne[3] === 1 && x.ne[3] === 1 && x.ne[1] === kernel.ne[1];
  expectShape(fits && x.ne[0] >= kernel.ne[0], op, 'kernel [K, C] and x [K - 1 + T, C, B]', kernel, x);
  expectPacked(op, 'kernel', kernel);
  expectPacked(op, 'x', x);
  const ne = checkDimensions(op, 'f32', [kernel.ne[1], x.ne[0] - kernel.ne[0] + 1, x.ne[2]]);
  return context.make(op, [x, kernel], { type: 'f32', ne }, 'ssm_conv', x, kernel);
}

/** Transposed convolution, time fastest: kernel f32 or f16 [K, Co, Ci], x f32 [T, Ci] -> f32 [(T - 1) * stride + K, Co]. */
export function convTranspose1d(context: Context, kernel: Tensor, x: Tensor, stride: number): Tensor {
  const op = 'convTranspose1d';
  expectTensors(context, op, { kernel, x });
  expectType(op, 'kernel', kernel, ['f32', 'f16']);
  expectType(op, 'x', x, ['f32']);
  expectInteger(op, 'stride', stride, 1);
  const fits = x.ne[2] === 1 && x.ne[3] === 1 && kernel.ne[3] === 1 && kernel.ne[2] === x.ne[1];
  expectShape(fits, op, 'kernel [K, Co, Ci] and x [T, Ci]', kernel, x);
  expectUnitStride(op, 'kernel', kernel);
  expectUnitStride(op, 'x', x);
  const ne = checkDimensions(op, 'f32', [(x.ne[0] - 1) * stride + kernel.ne[0], kernel.ne[1]]);
  return context.make(op, [kernel, x], { type: 'f32', ne }, 'conv_transpose_1d', kernel, x, stride, 0, 1);
}

/** Overlap-add of columns, the second half of a transposed convolution: [K * Co, T] (K fastest) -> [(T - 1) * stride + K, Co]. */
export function col2im1d(context: Context, columns: Tensor, options: { stride: number; channels: number }): Tensor {
  const op = 'col2im1d';
  expectTensors(context, op, { columns });
  expectOptions(op, options);
  const { stride, channels } = options;
  expectType(op, 'columns', columns, ['f32', 'f16']);
  expectPacked(op, 'columns', columns);
  expectInteger(op, 'stride', stride, 1);
  expectInteger(op, 'channels', channels, 1);
  const [height, length, n2, n3] = columns.ne;
  expectShape(height % channels === 0 && n2 === 1 && n3 === 1, op, `columns [K * ${channels}, T]`, columns);
  const { type } = columns;
  const ne = checkDimensions(op, type, [(length - 1) * stride + height / channels, channels]);
  return context.make(op, [columns], { type, ne }, 'col2im_1d', columns, stride, channels, 0);
}

/**
 * Windows of `width` frames, channels fastest: x f32 [C, T] -> [width * C, T'], T' = floor((T - width) / stride) + 1.
 * A convolution over time is then mulMat(w [width * C, Co], windows(x)), whose weights may be quantized or interleaved.
 */
export function windows(context: Context, x: Tensor, options: { width: number; stride?: number }): Tensor {
  const op = 'windows';
  expectTensors(context, op, { x });
  expectOptions(op, options);
  const { width, stride = 1 } = options;
  const [channels, length, n2, n3] = x.ne;
  expectType(op, 'x', x, ['f32']);
  expectPacked(op, 'x', x);
  expectInteger(op, 'width', width, 1);
  expectInteger(op, 'stride', stride, 1);
  expectShape(n2 === 1 && n3 === 1 && length >= width, op, `x [C, T] of at least ${width} frames`, x);
  // One long row whose windows start every `channels` elements; the kernel operand lends its shape only.
  const kernel = view(context, x, [channels * width]);
  return im2col(context, kernel, reshape(context, x, channels * length), { stride: channels * stride });
}

/**
 * Each channel with its own kernel, channels fastest: kernel f32 [C, K], x f32 [C, T, 1, B] -> [C, T', 1, B].
 * T' = floor((T - dilation * (K - 1) - 1) / stride) + 1; C and K at least 2. Causal use: K - 1 frames of history in front.
 */
export function convDepthwise(
  context: Context,
  kernel: Tensor,
  x: Tensor,
  options: { readonly stride?: number; readonly dilation?: number } = {},
): Tensor {
  const op = 'convDepthwise';
  expectTensors(context, op, { kernel, x });
  expectOptions(op, options);
  for (const [name, tensor] of Object.entries({ kernel, x })) {
    expectType(op, name, tensor, ['f32']);
    expectPacked(op, name, tensor);
  }
  const [channels, width, k2, k3] = kernel.ne;
  const [, length, n2] = x.ne;
  const fits = x.ne[0] === channels && n2 === 1 && k2 === 1 && k3 === 1 && channels > 1 && width > 1;
  expectShape(fits, op, 'kernel [C, K] and x [C, T, 1, B] with C and K of at least 2', kernel, x);
  const { stride = 1, dilation = 1 } = options;
  const outputs = outputLength(op, length, width, { stride, dilation });
  // ggml's kernel takes images [W, H, C, B] that lie in memory with channels fastest: time is the width.
  const image = permute(context, x, 2, 0, 1, 3);
  const filter = permute(context, reshape(context, kernel, channels, 1, width, 1), 3, 2, 0, 1);
  const ne = checkDimensions(op, 'f32', [outputs, 1, channels, x.ne[3]]);
  const pixel = 4 * channels;
  const nb = [pixel, pixel * outputs, 4, pixel * outputs] as const; // channels fastest there too
  const args = [filter, image, stride, 1, 0, 0, dilation, 1] as const;
  const result = context.make(op, [filter, image], { type: 'f32', ne, nb }, 'conv_2d_dw_direct', ...args);
  return permute(context, result, 1, 2, 0, 3);
}
