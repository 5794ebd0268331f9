import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { op, tensor, type Tensor } from '../torch.js';

const values = (x: Tensor) => Array.from(x.toFloat32Array());
const close = (x: Tensor, expected: number[]) => {
  expect(x.numel).toBe(expected.length);
  values(x).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5));
};
const matrix = () => tensor([1, 2, 3, 4, 5, 6], [2, 3]);

describe('arithmetic', () => {
  it('takes tensors and numbers on the right', () => {
    const x = tensor([1, 2]);
    const y = tensor([4, 8]);
    close(x.add(y), [5, 10]);
    close(x.add(y, 0.5), [3, 6]);
    close(x.sub(1), [0, 1]);
    close(x.mul(y), [4, 16]);
    close(x.div(2), [0.5, 1]);
    close(y.pow(0.5), [2, Math.sqrt(8)]);
    close(y.pow(x), [4, 64]);
  });

  it('has the usual functions of one argument', () => {
    const x = tensor([-1, 0.5]);
    close(x.neg(), [1, -0.5]);
    close(x.abs(), [1, 0.5]);
    close(x.exp(), [Math.exp(-1), Math.exp(0.5)]);
    close(x.silu(), [-1 / (1 + Math.E), 0.5 / (1 + Math.exp(-0.5))]);
    close(x.relu(), [0, 0.5]);
    close(x.tanh(), [Math.tanh(-1), Math.tanh(0.5)]);
    close(x.square(), [1, 0.25]);
    close(x.clamp(0), [0, 0.5]);
    close(x.clamp(null, 0), [-1, 0]);
    close(x.gelu(), [-0.158655, 0.345731]);
    close(tensor([4]).rsqrt(), [0.5]);
  });

  it('keeps integers integers under whole numbers', () => {
    const x = tensor([1, 2], [2], 'int64');
    expect(x.add(1).dtype).toBe('int64');
    expect(x.add(0.5).dtype).toBe('float32');
    expect(x.toTypedArray()).toEqual(new BigInt64Array([1n, 2n]));
  });

  it('compares into booleans', () => {
    const mask = matrix().gt(3);
    expect(mask.dtype).toBe('bool');
    close(mask, [0, 0, 0, 1, 1, 1]);
    close(mask.logicalNot(), [1, 1, 1, 0, 0, 0]);
    close(matrix().maskedFill(mask, -1), [1, 2, 3, -1, -1, -1]);
    close(torch.where(mask, matrix(), 0), [0, 0, 0, 4, 5, 6]);
    close(torch.where(mask, 0, matrix()), [1, 2, 3, 0, 0, 0]);
  });
});

describe('shapes and reductions', () => {
  it('views, cuts and joins', () => {
    const x = matrix();
    close(x.t(), [1, 4, 2, 5, 3, 6]);
    expect(x.reshape(3, -1).shape).toEqual([3, 2]);
    close(x.slice(1, 1), [2, 3, 5, 6]);
    close(x.slice(1, 0, 3, 2), [1, 3, 4, 6]);
    close(x.select(0, -1), [4, 5, 6]);
    close(x.narrow(1, 0, 1), [1, 4]);
    expect(x.chunk(2, 1).map((part) => part.shape)).toEqual([[2, 2], [2, 1]]); // prettier-ignore
    expect(x.split([1, 2], 1).map(values)).toEqual([[1, 4], [2, 3, 5, 6]]); // prettier-ignore
    expect(x.unsqueeze(0).expand(4, 2, 3).shape).toEqual([4, 2, 3]);
    expect(torch.cat([x, x], 1).shape).toEqual([2, 6]);
    expect(torch.stack([x, x]).shape).toEqual([2, 2, 3]);
    close(x.indexSelect(1, tensor([2, 0], [2], 'int64')), [3, 1, 6, 4]);
    close(x.gather(1, tensor([2, 0], [2, 1], 'int64')), [3, 4]);
    expect(x.permute(1, 0).shape).toEqual([3, 2]);
  });

  it('reduces over all, some and kept dimensions', () => {
    const x = matrix();
    expect(x.sum().item()).toBe(21);
    close(x.sum(0), [5, 7, 9]);
    expect(x.mean([0, 1], true).shape).toEqual([1, 1]);
    close(x.mean(-1), [2, 5]);
    close(x.norm(1), [Math.sqrt(14), Math.sqrt(77)]);
    expect([x.max().item(), x.min().item()]).toEqual([6, 1]);
    close(x.amax(1), [3, 6]);
    close(x.cumsum(1), [1, 3, 6, 4, 9, 15]);
    close(x.softmax(0), Array(3).fill(1 / (1 + Math.E ** 3)).concat(Array(3).fill(1 / (1 + Math.E ** -3)))); // prettier-ignore
    close(x.std(undefined, false, 0), [Math.sqrt(35 / 12)]);
  });
});

describe('layers', () => {
  it('computes linear and embedding', () => {
    close(torch.linear(matrix(), tensor([1, 0, 1], [1, 3]), tensor([10])), [14, 20]);
    close(torch.embedding(matrix(), tensor([1, 0], [2], 'int64')), [4, 5, 6, 1, 2, 3]);
  });

  it('normalises', () => {
    const x = tensor([1, 3], [1, 2]);
    close(torch.layerNorm(x, [2], null, null, 0), [-1, 1]);
    close(torch.rmsNorm(x, [2], tensor([1, 2]), 0), [1 / Math.sqrt(5), 6 / Math.sqrt(5)]);
  });

  it('attends as softmax(q k / sqrt(D)) v', () => {
    const [q, k, v] = [0, 1, 2].map(() => torch.randn([2, 4, 5, 8]));
    const scores = q.matmul(k.transpose(2, 3)).div(Math.sqrt(8));
    const causal = torch.ones([5, 5], { dtype: 'bool' });
    const lower: Tensor = op('aten::tril')(causal);
    const expected = scores.maskedFill(lower.logicalNot(), -Infinity).softmax(-1).matmul(v);
    close(torch.scaledDotProductAttention(q, k, v, { isCausal: true }), values(expected));
    close(torch.scaledDotProductAttention(q, k, v, { mask: lower }), values(expected));
  });

  it('convolves forwards and transposed', () => {
    const x = tensor([1, 2, 3, 4], [1, 1, 4]);
    const w = tensor([1, 10], [1, 1, 2]);
    close(torch.conv1d(x, w), [21, 32, 43]);
    close(torch.conv1d(x, w, { stride: 2, bias: tensor([0.5]) }), [21.5, 43.5]);
    close(torch.convTranspose1d(tensor([1, 2], [1, 1, 2]), w, { stride: 2 }), [1, 10, 2, 20]);
    expect(torch.conv2d(torch.zeros([1, 2, 5, 7]), torch.zeros([3, 2, 3, 3]), { padding: [1, 0] }).shape).toEqual([1, 3, 5, 5]); // prettier-ignore
    close(torch.pad(x, [2, 0]), [0, 0, 1, 2, 3, 4]);
    close(torch.pad(x, [1, 1], 'reflect'), [2, 1, 2, 3, 4, 3]);
  });

  it('computes losses', () => {
    const logits = tensor([0, 2]);
    const target = tensor([1, 0]);
    const losses = [Math.LN2, Math.log(1 + Math.E ** 2)];
    close(torch.binaryCrossEntropyWithLogits(logits, target, { reduction: 'none' }), losses);
    close(torch.binaryCrossEntropyWithLogits(logits, target, { posWeight: tensor([3]), reduction: 'sum' }), [3 * losses[0] + losses[1]]); // prettier-ignore
    close(torch.crossEntropy(tensor([0, 0], [1, 2]), tensor([1], [1], 'int64')), [Math.LN2]);
    close(torch.mseLoss(logits, target), [2.5]);
  });

  it('normalises weights as PyTorch does', () => {
    const direction = tensor([3, 4, 6, 8], [2, 2]);
    close(torch.weightNorm(direction, tensor([1, 2], [2, 1])), [0.6, 0.8, 1.2, 1.6]);
  });
});

describe('spectra', () => {
  it('inverts its own STFT', () => {
    const x = torch.randn([2, 800]);
    const options = { fftSize: 64, hopLength: 16, window: torch.hannWindow(64) };
    const spectrum = torch.stft(x, options);
    expect([spectrum.dtype, spectrum.shape]).toEqual(['complex64', [2, 33, 51]]);
    expect(
      torch
        .istft(spectrum, { ...options, length: 800 })
        .sub(x)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-5);
    expect(torch.viewAsReal(spectrum).shape).toEqual([2, 33, 51, 2]);
  });

  it('takes complex numbers apart and together', () => {
    const z = torch.complex(tensor([3]), tensor([4]));
    expect(z.abs().item()).toBe(5);
    expect(z.toTypedArray()).toEqual(new Float32Array([3, 4]));
    close(torch.viewAsReal(torch.viewAsComplex(tensor([1, 2], [1, 2]))), [1, 2]);
  });

  it('finds eigenvalues of a symmetric matrix', () => {
    const { values: eigenvalues } = torch.linalgEigh(tensor([2, 1, 1, 2], [2, 2]));
    close(eigenvalues, [1, 3]);
  });
});

describe('any operator by name', () => {
  it('takes defaults, keywords and several results', () => {
    const x = matrix();
    expect(op('aten::var', 'correction')(x, null, { correction: 0 }).item()).toBeCloseTo(35 / 12, 5);
    const [top, index] = op('topk')(x, 2);
    expect([values(top), values(index)]).toEqual([[3, 2, 6, 5], [2, 1, 2, 1]]); // prettier-ignore
    expect(op('is_nonzero')(tensor([1]))).toBe(true);
    expect(op('sym_size', 'int')(x, 1)).toBe(3);
    expect(op('index', 'Tensor')(x, [null, tensor([0], [1], 'int64')]).shape).toEqual([2, 1]);
  });

  it('hands back the tensor itself from operators that write to it', () => {
    const x = matrix();
    expect(op('add_', 'Tensor')(x, x)).toBe(x);
    expect(op('transpose_')(x, 0, 1).shape).toEqual([3, 2]);
    const out = torch.zeros([2, 2]);
    expect(op('mm', 'out')(matrix(), matrix().t(), { out })).toBe(out);
    close(out, [14, 32, 32, 77]);
  });

  it('lists what libtorch has', () => {
    expect(torch.operatorNames('aten::silu')).toContain('aten::silu');
    expect(torch.operatorNames().length).toBeGreaterThan(2000);
  });
});
