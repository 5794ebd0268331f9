import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { causalAttention, dropout, eye, manualSeed, ones, op, randn, scaledDotProductAttention, scope, setNumThreads, tensor, type Tensor } from '../torch.js'; // prettier-ignore

const stochasticRound = op('sled::stochastic_round_');
const difference = (a: Tensor, b: Tensor) => a.to('float32').sub(b.to('float32')).abs().max().item();

describe('dropout', () => {
  it.each(['float32', 'bfloat16'] as const)('drops a share and scales the rest, %s', (dtype) => {
    manualSeed(1);
    const dropped = dropout(ones([300, 1000]).to(dtype), 0.1, true).to('float32');
    const zeros = dropped.eq(0).to('float32').mean().item();
    expect(zeros).toBeGreaterThan(0.098); // 0.1 within four standard deviations
    expect(zeros).toBeLessThan(0.102);
    expect(dropped.max().item()).toBeCloseTo(1 / 0.9, 2);
    expect(dropped.dtype).toBe('float32');
  });

  it('drops no two rows, columns or calls alike', () => {
    manualSeed(1);
    const [a, b] = [0, 1].map(() => dropout(ones([512, 512]), 0.5, true).mul(0.5)); // 0 or 1
    for (const x of [a, b, a.t()]) {
      const shared = x.slice(0, 0, 511).mul(x.slice(0, 1)).mean().item(); // neighbours both kept
      expect(shared).toBeGreaterThan(0.246);
      expect(shared).toBeLessThan(0.254);
    }
    expect(a.mul(b).mean().item()).toBeCloseTo(0.25, 2);
  });

  it('gives the gradient the same mask, on any number of threads, and obeys the seed', () => {
    const run = (threads: number) => {
      setNumThreads(threads);
      manualSeed(7);
      const x = ones([100, 1000]).requiresGrad_();
      const y = dropout(x, 0.3, true);
      y.sum().backward();
      expect(difference(x.grad!, y)).toBe(0);
      return y.toFloat32Array();
    };
    expect(run(2)).toEqual(run(1));
    const x = randn([8]);
    expect(dropout(x, 0.3, false)).toBe(x);
    expect(() => dropout(x, 1, true)).toThrow(/less than 1, got 1/);
    expect(() => dropout(tensor([1], [1], 'float64'), 0.5, true)).toThrow(/float32 or bfloat16/);
  });
});

// Less than one of 2^32: without a rate, libtorch's kernel would be compared with itself.
const DROPS_NOTHING = 1e-12;

describe('causal attention', () => {
  const inputs = (shape: number[], dtype: 'float32' | 'bfloat16') => {
    manualSeed(3);
    return [0, 1, 2].map(() => randn(shape).to(dtype).requiresGrad_());
  };
  const gradients = (q: Tensor[], out: Tensor) => {
    manualSeed(4);
    out.backward(randn(out.shape).to(out.dtype));
    return q.map((x) => x.grad!);
  };

  it.each([
    ['float32', 1e-5],
    ['bfloat16', 0.06], // half a thousandth of weights of up to one, and of their gradients
  ] as const)("equals libtorch's without dropout, and so do its gradients, %s", (dtype, tolerance) => {
    for (const S of [1, 7, 63, 64, 128, 300])
      for (const E of [16, 32, 64, 96]) {
        // 16 goes block by block, multiples of 32 in bfloat16 head by head.
        const [ours, theirs] = [inputs([2, 3, S, E], dtype), inputs([2, 3, S, E], dtype)];
        const out = causalAttention(ours[0], ours[1], ours[2], DROPS_NOTHING);
        const expected = scaledDotProductAttention(theirs[0], theirs[1], theirs[2], { isCausal: true });
        const title = `${S} positions, heads of ${E}`;
        expect(difference(out, expected), title).toBeLessThan(tolerance);
        const [a, b] = [gradients(ours, out), gradients(theirs, expected)];
        a.forEach((x, i) => expect(difference(x, b[i]), `gradient ${i} of ${title}`).toBeLessThan(tolerance));
      }
  });

  it('takes heads that lie apart in memory, and computes the same on any number of threads', () => {
    const run = (threads: number, apart: boolean) => {
      setNumThreads(threads);
      manualSeed(9);
      const joined = randn([2, 100, 3, 5, 32]).to('bfloat16').requiresGrad_(); // [B, S, 3, H, E]
      const parts = [0, 1, 2].map((i) => joined.select(2, i).transpose(1, 2));
      const [q, k, v] = apart ? parts : parts.map((x) => x.contiguous());
      const out = causalAttention(q, k, v, 0.1);
      out.backward(randn([2, 100, 5, 32]).to('bfloat16').transpose(1, 2));
      return [out.contiguous(), joined.grad!];
    };
    const expected = run(1, false);
    for (const [threads, apart] of [
      [1, true],
      [2, true],
      [3, false],
    ] as const)
      // prettier-ignore
      run(threads, apart).forEach((x, i) => expect(difference(x, expected[i])).toBe(0));
  });

  it('drops alike head by head and block by block', () => {
    const results = (['bfloat16', 'float32'] as const).map((dtype) => {
      const q = inputs([2, 3, 150, 32], 'bfloat16').map((x) => x.detach().to(dtype).requiresGrad_());
      manualSeed(6);
      const out = causalAttention(q[0], q[1], q[2], 0.3);
      return [out, ...gradients(q, out)];
    });
    results[0].forEach((x, i) => expect(difference(x, results[1][i]), `tensor ${i}`).toBeLessThan(0.06));
  });

  it('drops attention weights, and has the gradients of what it dropped', () => {
    const S = 200;
    const [q, k] = inputs([1, 2, S, S], 'float32');
    const rate = 0.2;
    const weightsOf = (values: Tensor) => {
      manualSeed(5);
      return causalAttention(q, k, values, rate);
    };
    const identity = eye(S).expand(1, 2, S, S).contiguous();
    const mask = weightsOf(identity)
      .ne(0)
      .to('float32')
      .div(1 - rate); // [1, 2, S, S]: values that are weights show them
    const future = (op('triu')(ones([S, S]), 1) as Tensor).mul(-1e9);
    const reference = (a: Tensor, b: Tensor) =>
      a.matmul(b.transpose(2, 3)).mul(1 / Math.sqrt(S)).add(future).softmax(-1).mul(mask); // prettier-ignore
    const kept = (mask.sum().item() * (1 - rate)) / (S * (S + 1)); // of two heads' S (S + 1) / 2 pairs
    expect(kept).toBeGreaterThan(0.79);
    expect(kept).toBeLessThan(0.81);
    const v = randn([1, 2, S, S]).requiresGrad_();
    const out = weightsOf(v);
    const own = gradients([q, k, v], out);
    const copies = [q, k, v].map((x) => x.detach().clone().requiresGrad_());
    const expected = reference(copies[0], copies[1]).matmul(copies[2]);
    expect(difference(out, expected)).toBeLessThan(1e-5);
    gradients(copies, expected).forEach((x, i) => expect(difference(x, own[i]), `gradient ${i}`).toBeLessThan(1e-4));
  });

  it('lets what is not finite be seen, and refuses other shapes', () => {
    const [q, k, v] = inputs([1, 1, 20, 8], 'float32').map((x) => x.detach());
    q.select(2, 3).fill_(NaN);
    const out = causalAttention(q, k, v, 0.1).toFloat32Array();
    expect(out.subarray(3 * 8, 4 * 8).every(Number.isNaN)).toBe(true);
    expect(out.subarray(0, 3 * 8).every(Number.isFinite)).toBe(true);
    expect(() => causalAttention(q, k, v.to('bfloat16'), 0.1)).toThrow(/one shape/);
  });
});

describe('stochastic rounding', () => {
  it('is one of the two neighbours, and right on average', () => {
    scope(() => {
      const n = 100_000;
      const values = torch.full([n], 1 + 2 ** -7 * 0.3); // three tenths of the way between neighbours
      const rounded = stochasticRound(torch.empty([n], { dtype: 'bfloat16' }), values, 11) as Tensor;
      const found = rounded.toFloat32Array();
      expect(new Set(found)).toEqual(new Set([1, 1 + 2 ** -7]));
      const up = found.filter((x) => x > 1).length / n;
      expect(up).toBeGreaterThan(0.294); // four standard deviations
      expect(up).toBeLessThan(0.306);
    });
  });

  it('keeps what bfloat16 holds, and what is not finite', () => {
    const exact = [0, -0, 1.5, -3, 2 ** -130, Infinity, -Infinity];
    const rounded = stochasticRound(torch.empty([7], { dtype: 'bfloat16' }), tensor(exact), 5) as Tensor;
    expect([...rounded.toFloat32Array()]).toEqual(exact);
    expect(stochasticRound(torch.empty([1], { dtype: 'bfloat16' }), tensor([NaN]), 5).item()).toBeNaN();
    expect(() => stochasticRound(torch.empty([1]), tensor([1]), 5)).toThrow(/bfloat16 and float32/);
  });
});
