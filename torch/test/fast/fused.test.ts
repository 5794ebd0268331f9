import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { autocast, randn, setNumThreads, tensor } from '../torch.js';
import { CASES, expectClose, run, SIZES } from '../fused-cases.js';

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
