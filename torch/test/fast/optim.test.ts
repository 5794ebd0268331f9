import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { AdamW, Muon, orthogonalize, randn, scope, tensor, type Tensor } from '../torch.js';

/** One parameter's AdamW written out, in float64. */
function referenceAdamW(start: number[], gradients: number[][], lr: number, decay: number): number[] {
  const [beta1, beta2, eps] = [0.9, 0.95, 1e-8];
  return start.map((first, i) => {
    let [value, mean, square] = [first, 0, 0];
    gradients.forEach((gradient, k) => {
      value *= 1 - lr * decay;
      mean = beta1 * mean + (1 - beta1) * gradient[i];
      square = beta2 * square + (1 - beta2) * gradient[i] ** 2;
      const corrected = Math.sqrt(square / (1 - beta2 ** (k + 1)));
      value -= (lr * (mean / (1 - beta1 ** (k + 1)))) / (corrected + eps);
    });
    return value;
  });
}

describe('AdamW', () => {
  const gradients = [[0.5, -1, 3], [0.1, 2, -1], [-4, 0, 0.2]]; // prettier-ignore
  const start = [1, -2, 0.5];

  it('follows the reference with weight decay', () => {
    const w = tensor(start).requiresGrad_();
    const untouched = tensor([9]).requiresGrad_();
    const optimizer = new AdamW([{ params: [untouched, w], lr: 0.01, weightDecay: 0.1 }], { betas: [0.9, 0.95] });
    for (const gradient of gradients) {
      w.grad = tensor(gradient);
      optimizer.step();
    }
    const expected = referenceAdamW(start, gradients, 0.01, 0.1);
    Array.from(w.toFloat32Array()).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5));
    expect(untouched.item()).toBe(9);
    optimizer.zeroGrad();
    expect(w.grad).toBeNull();
  });

  it('takes a new learning rate between steps', () => {
    const w = tensor([1]).requiresGrad_();
    const optimizer = new AdamW([{ params: [w], lr: 0.1, weightDecay: 0 }]);
    optimizer.groups[0].lr = 0;
    w.grad = tensor([1]);
    optimizer.step();
    expect(w.item()).toBe(1);
  });

  it('continues exactly from its saved state', () => {
    const run = (steps: number[], optimizer: AdamW, w: Tensor) => {
      for (const k of steps) {
        w.grad = tensor(gradients[k]);
        optimizer.step();
      }
    };
    const make = (w: Tensor) => new AdamW([{ params: [w], lr: 0.01, weightDecay: 0.1 }]);
    const straight = tensor(start).requiresGrad_();
    const first = make(straight);
    run([0, 1], first, straight);
    const resumed = tensor(straight.toFloat32Array()).requiresGrad_();
    const second = make(resumed);
    second.loadState(first.state());
    run([2], first, straight);
    run([2], second, resumed);
    expect(resumed.toFloat32Array()).toEqual(straight.toFloat32Array());
    expect(Object.keys(first.state())).toEqual(['0.0.mean', '0.0.square', '0.0.steps']);
    expect(() => second.loadState({ '0.0.mean': straight })).toThrow('missing [0.0.square, 0.0.steps]');
  });
});

describe('bfloat16 parameters', () => {
  it.each([
    ['AdamW', (w: Tensor) => new AdamW([{ params: [w], lr: 1e-5, weightDecay: 0 }])],
    ['Muon', (w: Tensor) => new Muon([{ params: [w], lr: 1e-2 / Math.sqrt(600), weightDecay: 0 }])],
  ] as const)('%s makes updates that are far below half of the gap between neighbours', (_, make) => {
    const w = torch.ones([600, 600]).to('bfloat16').requiresGrad_();
    const gradient = torch.ones([600, 600]).to('bfloat16'); // orthogonalised: 1 / 600 everywhere, about
    const optimizer = make(w);
    for (let i = 0; i < 20; i++) {
      w.grad = gradient;
      optimizer.step(i);
    }
    const moved = 1 - w.to('float32').mean().item();
    const expected = 20 * (optimizer instanceof AdamW ? 1e-5 : (1e-2 / Math.sqrt(600)) * (1 / 600));
    expect(moved / expected).toBeGreaterThan(0.6);
    expect(moved / expected).toBeLessThan(1.4);
    expect(() => optimizer.step()).toThrow(/need a seed/);
  });

  it('follow float32 ones, blocks of large ones included, and continue exactly from their saved state', () => {
    torch.manualSeed(2);
    const shape = [700, 700]; // more than one block
    const start = randn(shape).to('bfloat16');
    const gradients = [0, 1, 2].map(() => randn(shape).to('bfloat16'));
    const run = (w: Tensor, optimizer: AdamW, steps: number[]) => {
      for (const k of steps) {
        w.grad = gradients[k].to(w.dtype);
        optimizer.step(k);
      }
    };
    const make = (w: Tensor) => new AdamW([{ params: [w], lr: 0.1, weightDecay: 0.1 }]);
    const [full, pure] = [start.to('float32').requiresGrad_(), start.clone().requiresGrad_()];
    const [one, two] = [make(full), make(pure)];
    run(full, one, [0, 1, 2]);
    run(pure, two, [0, 1]);
    const resumed = pure.detach().clone().requiresGrad_();
    const three = make(resumed);
    three.loadState(two.state());
    run(pure, two, [2]);
    run(resumed, three, [2]);
    expect(resumed.sub(pure).abs().max().item()).toBe(0);
    expect(two.state()['0.0.mean'].dtype).toBe('bfloat16');
    const error = pure.to('float32').sub(full).abs();
    expect(error.max().item()).toBeLessThan(0.1); // three roundings of values up to 5 in gaps of 2^-5
    expect(error.mean().item()).toBeLessThan(0.01);
  });
});

describe('Muon', () => {
  it.each([
    [4, 16, 48],
    [3, 48, 16],
    [1, 32, 32],
  ])('orthogonalises %i matrices of %i x %i', (n, rows, columns) => {
    // prettier-ignore
    scope(() => {
      torch.manualSeed(3);
      const x = orthogonalize(randn([n, rows, columns])).to('float32');
      const singular: Tensor = torch.op('linalg_svdvals')(x);
      expect(singular.min().item()).toBeGreaterThan(rows === columns ? 0.1 : 0.5);
      expect(singular.max().item()).toBeLessThan(1.3);
    });
  });

  it('steps along the orthogonalised gradient at its learning rate', () => {
    const w = torch.zeros([16, 4]).requiresGrad_();
    const gradient = randn([16, 4]);
    const optimizer = new Muon([{ params: [w], lr: 0.1, weightDecay: 0 }]);
    w.grad = gradient;
    optimizer.step();
    const expected = orthogonalize(gradient.unsqueeze(0)).select(0, 0).to('float32').mul(-0.1 * Math.sqrt(16 / 4)); // prettier-ignore
    expect(w.sub(expected).abs().max().item()).toBeLessThan(2e-3);
    expect(w.grad!.sub(gradient).abs().max().item()).toBe(0);
  });

  it('decays weights', () => {
    const w = torch.ones([2, 2]).requiresGrad_();
    const optimizer = new Muon([{ params: [w], lr: 0.1, weightDecay: 0.5 }]);
    w.grad = torch.zeros([2, 2]);
    optimizer.step();
    expect(w.mean().item()).toBeCloseTo(0.95, 6);
  });

  it('treats a split matrix as its blocks', () => {
    const start = randn([12, 8]);
    const gradient = randn([12, 8]);
    const whole = start.clone().requiresGrad_();
    const parts = start.split(4, 0).map((part) => part.clone().requiresGrad_());
    const options = { lr: 0.1, weightDecay: 0.1 };
    const joined = new Muon([{ params: [whole], ...options, split: 4 }]);
    const separate = new Muon([{ params: parts, ...options }]);
    for (let i = 0; i < 2; i++) {
      whole.grad = gradient.clone();
      gradient.split(4, 0).forEach((part, k) => (parts[k].grad = part.clone()));
      joined.step();
      separate.step();
    }
    expect(whole.toFloat32Array()).toEqual(torch.cat(parts).toFloat32Array());
    expect(() => new Muon([{ params: [whole], ...options, split: 5 }])).toThrow(RangeError);
    expect(() => new Muon([{ params: [tensor([1])], ...options }])).toThrow(/use AdamW/);
  });

  it('fits a linear map, and continues from its saved state', () => {
    torch.manualSeed(0);
    const target = randn([8, 8]);
    const w = torch.zeros([8, 8]).requiresGrad_();
    const optimizer = new Muon([{ params: [w], lr: 0.05, weightDecay: 0 }]);
    const step = () =>
      scope(() => {
        const x = randn([32, 8]);
        const loss = torch.mseLoss(torch.linear(x, w), torch.linear(x, target));
        loss.backward();
        optimizer.step();
        optimizer.zeroGrad();
        return loss.item();
      });
    const first = step();
    let last = first;
    for (let i = 0; i < 150; i++) last = step();
    expect(last).toBeLessThan(first / 20);
    const copy = new Muon([{ params: [w], lr: 0.05, weightDecay: 0 }]);
    copy.loadState(optimizer.state());
    expect(copy.state()['0.0.momentum'].sub(optimizer.state()['0.0.momentum']).abs().max().item()).toBe(0);
  });
});

describe('clipGradNorm', () => {
  it('scales all gradients to the norm and returns the one before', () => {
    const [a, b] = [tensor([1, 1]).requiresGrad_(), tensor([1]).requiresGrad_()];
    a.grad = tensor([3, 0]);
    b.grad = tensor([4]);
    expect(torch.clipGradNorm([a, b, tensor([1])], 1)).toBeCloseTo(5, 5);
    expect(a.grad!.toFloat32Array()[0]).toBeCloseTo(0.6, 5);
    expect(b.grad!.item()).toBeCloseTo(0.8, 5);
    expect(torch.clipGradNorm([a, b], 10)).toBeCloseTo(1, 5);
    expect(b.grad!.item()).toBeCloseTo(0.8, 5);
  });
});

describe('initialisation', () => {
  it('has the variances of its definitions', () => {
    torch.manualSeed(0);
    const w = torch.empty([200, 300]).requiresGrad_();
    expect(torch.init.xavierUniform_(w).std().item()).toBeCloseTo(Math.sqrt(2 / 500), 3);
    expect(torch.init.kaimingUniform_(w).std().item()).toBeCloseTo(1 / Math.sqrt(900), 3);
    expect(torch.init.normal_(w, 1, 0.02).std().item()).toBeCloseTo(0.02, 3);
    expect(torch.init.zeros_(w).abs().max().item()).toBe(0);
    expect(torch.init.ones_(w).mean().item()).toBe(1);
    expect(() => torch.init.xavierUniform_(tensor([1]))).toThrow(RangeError);
  });
});
