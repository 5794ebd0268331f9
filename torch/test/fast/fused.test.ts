import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import {
  autocast,
  layerNorm,
  manualSeed,
  randn,
  rmsNorm,
  scope,
  setNumThreads,
  tensor,
  type Tensor,
} from '../torch.js';

type DType = 'float32' | 'bfloat16' | 'float64';

interface Case {
  fused: (...inputs: Tensor[]) => Tensor[];
  composed: (...inputs: Tensor[]) => Tensor[];
  shapes: (rows: number, width: number) => number[][];
}

const one = (x: Tensor) => [x];
const rotation = (S: number, E: number) => {
  const angles = torch.arange(0, S, 1, { dtype: 'float32' }).unsqueeze(1).mul(torch.arange(1, E / 2 + 1, 1, { dtype: 'float32' }).mul(0.1)); // prettier-ignore
  return [angles.cos(), angles.sin()] as const;
};
const HEADS = 3;

/** Every operator beside the expression of libtorch's that it stands for. */
const CASES: Record<string, Case> = {
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
    fused: (x) => torch.rotateHeads(x, ...rotation(x.shape[1], x.shape[2] / 3 / HEADS), HEADS),
    composed: (x) => {
      const [B, S, E] = [x.shape[0], x.shape[1], x.shape[2] / 3 / HEADS];
      const [cos, sin] = rotation(S, E).map((table) => torch.cat([table, table], 1).to(x.dtype));
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

const SIZES = [[1, 1], [5, 7], [33, 16], [70, 33]] as const; // prettier-ignore

/** Outputs and then gradients of all inputs, for random inputs that are the same in every type. */
function run(f: (...inputs: Tensor[]) => Tensor[], shapes: number[][], dtype: DType): Float32Array[] {
  return scope(() => {
    manualSeed(2);
    // Rounded alike, so that a type's own error is that of its arithmetic.
    const draw = (shape: readonly number[]) => randn(shape).to('bfloat16').to(dtype);
    const inputs = shapes.map((shape) => draw(shape).requiresGrad_());
    const outputs = f(...inputs);
    outputs.map((y) => y.mul(draw(y.shape)).sum()).reduce((sum, x) => sum.add(x)).backward(); // prettier-ignore
    return [...outputs, ...inputs.map(({ grad }) => grad!)].map((x) => x.to('float32').toFloat32Array());
  });
}

function expectClose(actual: Float32Array[], expected: Float32Array[], tolerance: number, title: string): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((values, i) => {
    const size = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    const error = values.reduce((most, x, k) => Math.max(most, Math.abs(x - actual[i][k])), 0);
    expect(error / size, `${title}, tensor ${i}`).toBeLessThan(tolerance);
  });
}

describe.each(Object.entries(CASES))('%s', (_, { fused, composed, shapes }) => {
  it.each([
    ['float64', 1e-6], // not fused: the fall-back has the same meaning
    ['float32', 1e-5],
    ['bfloat16', 0.01], // half a step of results of the largest size, and of the weights' gradients
  ] as const)('equals what it stands for in float64, and so do its gradients, in %s', (dtype, tolerance) => {
    for (const [n, W] of SIZES) {
      const expected = run(composed, shapes(n, W), 'float64');
      expectClose(run(fused, shapes(n, W), dtype), expected, tolerance, `${n} x ${W}`);
    }
  });

  it('computes the same bits on any number of threads', () => {
    const results = [1, 2, 3].map((threads) => {
      setNumThreads(threads);
      return run(fused, shapes(200, 16), 'bfloat16');
    });
    setNumThreads(1);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe('fused operators', () => {
  it('give what products take, and gradients in the type of what they are of', () => {
    const x = randn([4, 8]).requiresGrad_();
    const weight = randn([8]).requiresGrad_();
    const shift = randn([4, 16]).to('bfloat16').requiresGrad_();
    const [a, b] = shift.chunk(2, -1); // rows that lie apart
    const results = autocast('bfloat16', () => [
      torch.rmsNormed(x, weight),
      torch.normSilu(x, weight, weight),
      torch.modulatedNorm(x, a, b),
      torch.joinRows([x, shift.slice(1, 0, 8)]),
    ]);
    expect(results.map(({ dtype }) => dtype)).toEqual(Array(4).fill('bfloat16'));
    results.forEach((y) => y.to('float32').sum().backward());
    expect([x, weight, shift].map((t) => t.grad!.dtype)).toEqual(['float32', 'float32', 'bfloat16']);
    const plain = torch.modulatedNorm(x, a.contiguous(), b.contiguous());
    expect(plain.dtype).toBe('float32');
    expect(plain.to('bfloat16').toFloat32Array()).toEqual(results[2].toFloat32Array());
    expect(torch.gatedAdd(x, a, b).dtype).toBe('float32');
  });

  it('let what is not finite be seen', () => {
    const x = tensor([1, NaN, 1, 2, 3, 4], [2, 3]);
    const ones = torch.ones([3]);
    for (const y of [torch.rmsNormed(x, ones), torch.normSilu(x, ones, ones), torch.modulatedNorm(x, x, x)]) {
      expect([...y.toFloat32Array().subarray(0, 3)].every(Number.isNaN)).toBe(true);
      expect([...y.toFloat32Array().subarray(3)].every(Number.isFinite)).toBe(true);
    }
    const [low, high] = torch.swiglu(tensor([-1e4, 1e30, 1, 1], [1, 4])).toFloat32Array();
    expect(Math.abs(low)).toBeLessThan(1e-30);
    expect(high).toBe(Math.fround(1e30));
  });

  it('refuse other shapes, naming them', () => {
    const x = randn([4, 6]);
    expect(() => torch.rmsNormed(x, randn([5]))).toThrow(
      /weight for each of the last dimension of \[4, 6\], got \[5\]/,
    );
    expect(() => torch.normSilu(x, randn([6]), randn([5]))).toThrow(/got \[5\]/);
    expect(() => torch.modulatedNorm(x, x, randn([6]))).toThrow(/expected shift and scale of \[4, 6\]/);
    expect(() => torch.joinRows([x, randn([4, 5])])).toThrow(/rows like those of \[4, 6\], got \[4, 5\]/);
    expect(() => torch.joinRows([])).toThrow(/at least one dimension/);
    expect(() => torch.swiglu(randn([2, 3]))).toThrow(/as many values/);
    expect(() => torch.gatedAdd(x, x, randn([6]))).toThrow(/three tensors of one shape/);
    expect(() => torch.rotateHeads(randn([1, 2, 12]), randn([2, 2]), randn([2, 2]), 2)).toThrow(/tables \[2, 1\]/);
    expect(() => torch.rotateHeads(randn([1, 2, 9]), randn([2, 1]), randn([2, 1]), 1)).toThrow(/even size/);
  });
});
