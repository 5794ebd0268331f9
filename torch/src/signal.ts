import { op } from './dispatch.js';
import type { Tensor } from './tensor.js';

const conv1dOp = op('conv1d');
const conv2dOp = op('conv2d');
const convTranspose1dOp = op('conv_transpose1d');
const stftOp = op('stft', 'center');
const istftOp = op('istft');
const viewAsRealOp = op('view_as_real');
const viewAsComplexOp = op('view_as_complex');
const complexOp = op('complex');
const avgPool1dOp = op('avg_pool1d');

/** One number for every dimension, or one for each. */
export type PerDimension = number | readonly number[];

export interface ConvOptions {
  readonly bias?: Tensor | null;
  readonly stride?: PerDimension;
  readonly padding?: PerDimension;
  readonly dilation?: PerDimension;
  readonly groups?: number;
}

/** x [B, I, N], weight [O, I / groups, K] -> [B, O, N']. */
export function conv1d(x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  const { bias = null, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  return conv1dOp(x, weight, bias, stride, padding, dilation, groups);
}
/** x [B, I, H, W], weight [O, I / groups, Kh, Kw] -> [B, O, H', W']. */
export function conv2d(x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  const { bias = null, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  return conv2dOp(x, weight, bias, stride, padding, dilation, groups);
}
/** x [B, I, N], weight [I, O / groups, K] -> [B, O, N']. */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  options: ConvOptions & { readonly outputPadding?: PerDimension } = {},
): Tensor {
  const { bias = null, stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
  return convTranspose1dOp(x, weight, bias, stride, padding, outputPadding, groups, dilation);
}
/** Means over windows of the last dimension. */
export function avgPool1d(x: Tensor, kernel: number, { stride = kernel, padding = 0 } = {}): Tensor {
  return avgPool1dOp(x, kernel, stride, padding);
}

export interface StftOptions {
  readonly fftSize: number;
  readonly hopLength: number;
  /** Window length; the FFT's without it. */
  readonly windowLength?: number;
  readonly window?: Tensor | null;
  /** Pads so that frame t is centred at sample t * hopLength; true without it. */
  readonly center?: boolean;
  readonly padMode?: 'reflect' | 'constant';
}

/** x [N] or [B, N] -> complex [B, fftSize / 2 + 1, T]. */
export function stft(x: Tensor, options: StftOptions): Tensor {
  const { fftSize, hopLength, windowLength = fftSize, window = null, center = true, padMode = 'reflect' } = options;
  return stftOp(x, fftSize, hopLength, windowLength, window, center, padMode, false, true, true);
}
/** Complex [B, fftSize / 2 + 1, T] -> [B, N], by windowed overlap and add; `length` cuts or pads N. */
export function istft(spectrum: Tensor, options: Omit<StftOptions, 'padMode'> & { readonly length?: number }): Tensor {
  const { fftSize, hopLength, windowLength = fftSize, window = null, center = true, length } = options;
  return istftOp(spectrum, fftSize, hopLength, windowLength, window, center, false, true, length ?? null, false);
}

/** Complex [...] -> real and imaginary parts [..., 2], the same memory. */
export function viewAsReal(x: Tensor): Tensor {
  return viewAsRealOp(x);
}
/** Pairs [..., 2] -> complex [...], the same memory. */
export function viewAsComplex(x: Tensor): Tensor {
  return viewAsComplexOp(x);
}
/** real + i * imaginary. */
export function complex(real: Tensor, imaginary: Tensor): Tensor {
  return complexOp(real, imaginary);
}
