// The fused operators beside what they stand for, on any device.
import { expect } from 'vitest';
import * as torch from './torch.js';
import { layerNorm, manualSeed, randn, rmsNorm, scope, type Tensor } from './torch.js';

export type DType = 'float32' | 'bfloat16' | 'float64';

export interface Case {
  fused: (...inputs: Tensor[]) => Tensor[];
  composed: (...inputs: Tensor[]) => Tensor[];
  shapes: (rows: number, width: number) => number[][];
}

const one = (x: Tensor) => [x];
const rotation = (S: number, E: number, { device }: Tensor) => {
  const options = { dtype: 'float32', device } as const;
  const angles = torch.arange(0, S, 1, options).unsqueeze(1).mul(torch.arange(1, E / 2 + 1, 1, options).mul(0.1)); // prettier-ignore
  return [angles.cos(), angles.sin()] as const;
};
const HEADS = 3;

/** Every operator beside the expression of libtorch's that it stands for. */
export const CASES: Record<string, Case> = {
  rmsNormed: {
    fused: (x, w) => one(torch.rmsNormed(x, w, 1e-6)),
    composed: (x, w) => one(rmsNorm(x, [x.shape[1]], w, 1e-6)),
    shapes: (n, W) => [[n, W], [W]],
  },
  normSilu: {
    fused: (x, w, b) => one(torch.normSilu(x, w, b, 1e-6)),
    composed: (x, w, b) => one(layerNorm(x, [x.shape[1]], w, b, 1e-6).silu()),
    shapes: (n, W) => [[n, W], [W], [W]],
  },
  modulatedNorm: {
    fused: (x, shift, scale) => one(torch.modulatedNorm(x, shift, scale, 1e-6)),
    composed: (x, shift, scale) => one(layerNorm(x, [x.shape[1]], null, null, 1e-6).mul(scale.add(1)).add(shift)),
    shapes: (n, W) => Array.from({ length: 3 }, () => [n, W]),
  },
  joinRows: {
    fused: (...parts) => one(torch.joinRows(parts)),
    composed: (...parts) => one(torch.cat(parts, 0)),
    shapes: (n, W) => [
      [n, W],
      [1, W],
      [2 * n, W],
    ],
  },
  swiglu: {
    fused: (x) => one(torch.swiglu(x)),
    composed: (x) => {
      const [gate, up] = x.chunk(2, -1);
      return one(gate.silu().mul(up));
    },
    shapes: (n, W) => [[n, 2 * W]],
  },
  gatedAdd: {
    fused: (x, gate, y) => one(torch.gatedAdd(x, gate, y)),
    composed: (x, gate, y) => one(x.add(gate.mul(y))),
    shapes: (n, W) => Array.from({ length: 3 }, () => [n, W]),
  },
  rotateHeads: {
    fused: (x) => torch.rotateHeads(x, ...rotation(x.shape[1], x.shape[2] / 3 / HEADS, x), HEADS),
    composed: (x) => {
      const [B, S, E] = [x.shape[0], x.shape[1], x.shape[2] / 3 / HEADS];
      const [cos, sin] = rotation(S, E, x).map((table) => torch.cat([table, table], 1).to(x.dtype));
      const parts = x.view(B, S, 3, HEADS, E).permute(2, 0, 3, 1, 4);
      const turned = [0, 1].map((i) => {
        const part = parts.select(0, i);
        const [left, right] = part.chunk(2, -1);
        return part.mul(cos).add(torch.cat([right.neg(), left], -1).mul(sin));
      });
      return [...turned, parts.select(0, 2)];
    },
    shapes: (n, W) => [[2, n, 6 * HEADS * W]],
  },
};

export const SIZES = [[1, 1], [5, 7], [33, 16], [70, 33]] as const; // prettier-ignore

/** Outputs and then gradients of all inputs, for random inputs that are the same in every type and on every device. */
export function run(
  f: (...inputs: Tensor[]) => Tensor[],
  shapes: number[][],
  dtype: DType,
  device: torch.Device = 'cpu',
): Float32Array[] {
  return scope(() => {
    manualSeed(2);
    // Rounded alike, so that a type's own error is that of its arithmetic.
    const draw = (shape: readonly number[]) => randn(shape).to('bfloat16').to(dtype).to(device);
    const inputs = shapes.map((shape) => draw(shape).requiresGrad_());
    const outputs = f(...inputs);
    outputs.map((y) => y.mul(draw(y.shape)).sum()).reduce((sum, x) => sum.add(x)).backward(); // prettier-ignore
    return [...outputs, ...inputs.map(({ grad }) => grad!)].map((x) => x.to('float32').toFloat32Array());
  });
}

export function expectClose(actual: Float32Array[], expected: Float32Array[], tolerance: number, title: string): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((values, i) => {
    const size = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    const error = values.reduce((most, x, k) => Math.max(most, Math.abs(x - actual[i][k])), 0);
    expect(error / size, `${title}, tensor ${i}`).toBeLessThan(tolerance);
  });
}
