import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { AdamW, autocast, causalAttention, dropout, full, hasCuda, manualSeed, Muon, ones, op, randn, resolveDevice, scaledDotProductAttention, scope, type Device, type Tensor } from '../torch.js'; // prettier-ignore
import { CASES, expectClose, run, SIZES } from '../fused-cases.js';

describe('devices', () => {
  it('are the CPU and GPUs by number', () => {
    expect(resolveDevice('cpu')).toBe('cpu');
    expect(torch.moveTo(randn([2]), 'cpu').device).toBe('cpu');
    for (const name of ['gpu', 'cuda:', 'cuda:x', 'CUDA', ''])
      expect(() => resolveDevice(name)).toThrow(`device: expected cpu, cuda or cuda:N, got '${name}'`);
  });

  it('that are not there are refused by one line that says why', () => {
    const reason = hasCuda() ? /^device cuda:99: there are \d+ GPUs, cuda:0 … cuda:\d+$/ : /^device cuda:99: (this libtorch was built without CUDA|libtorch found no GPU)/; // prettier-ignore
    expect(() => resolveDevice('cuda:99')).toThrow(reason);
    expect(() => resolveDevice('cuda:99')).toThrow(torch.TorchError);
  });
});

// Without a GPU there is nothing to test, and nothing that passes.
if (hasCuda()) describe('on cuda:0', onDevice);

function onDevice(): void {
  const device: Device = 'cuda:0';
  const there = (x: Tensor) => x.detach().to(device).requiresGrad_(x.requiresGrad);
  const difference = (a: Tensor, b: Tensor) => a.to('cpu').to('float64').sub(b.to('cpu').to('float64')).abs().max().item(); // prettier-ignore

  describe.each(Object.entries(CASES))('%s', (_, { fused, composed, shapes }) => {
    it.each([
      ['float32', 1e-5],
      ['bfloat16', 0.03], // libtorch rounds between the operators that it is made of
    ] as const)(
      'equals what it stands for in float64 on the CPU, and so do its gradients, in %s',
      (dtype, tolerance) => {
        for (const [n, W] of SIZES) {
          const expected = run(composed, shapes(n, W), 'float64');
          expectClose(run(fused, shapes(n, W), dtype, device), expected, tolerance, `${n} x ${W}`);
        }
      },
    );
  });

  it('fused operators give what products take, and gradients in the type of what they are of', () => {
    const x = there(randn([4, 8]).requiresGrad_());
    const weight = there(randn([8]).requiresGrad_());
    const shift = there(randn([4, 8]).to('bfloat16').requiresGrad_());
    const results = autocast('bfloat16', () => [
      torch.rmsNormed(x, weight),
      torch.normSilu(shift, weight, weight),
      torch.modulatedNorm(x, shift, shift),
      torch.joinRows([x, shift]),
    ]);
    expect(results.map(({ dtype }) => dtype)).toEqual(Array(4).fill('bfloat16'));
    results.forEach((y) => y.to('float32').sum().backward());
    expect([x, weight, shift].map((t) => t.grad!.dtype)).toEqual(['float32', 'float32', 'bfloat16']);
    expect(torch.gatedAdd(x, shift, shift).dtype).toBe('float32');
  });

  it.each([
    ['float32', 1e-5],
    ['bfloat16', 0.06],
  ] as const)("causal attention equals the CPU's in float64, and so do its gradients, %s", (dtype, tolerance) => {
    for (const [S, E] of [
      [1, 64],
      [63, 64],
      [300, 64],
      [40, 8],
    ]) {
      manualSeed(3);
      const given = [0, 1, 2].map(() => randn([2, 3, S, E]).to('bfloat16'));
      const weights = randn([2, 3, S, E]).to('bfloat16');
      const exact = given.map((x) => x.to('float64').requiresGrad_());
      const ours = given.map((x) => x.to(dtype).to(device).requiresGrad_());
      const expected = scaledDotProductAttention(exact[0], exact[1], exact[2], { isCausal: true });
      const out = causalAttention(ours[0], ours[1], ours[2], 0);
      expect(difference(out, expected), `${S} x ${E}`).toBeLessThan(tolerance);
      expected.backward(weights.to('float64'));
      out.backward(weights.to(dtype).to(device));
      ours.forEach((x, i) => expect(difference(x.grad!, exact[i].grad!), `gradient ${i}`).toBeLessThan(tolerance));
    }
  });

  it('dropout drops a share, obeys the seed, and gives the gradient the same mask', () => {
    const draw = () => {
      manualSeed(7);
      const x = ones([300, 1000], { device }).requiresGrad_();
      const y = dropout(x, 0.1, true);
      y.sum().backward();
      expect(difference(x.grad!, y)).toBe(0);
      return y.toFloat32Array();
    };
    const first = draw();
    expect(draw()).toEqual(first);
    const zeros = first.filter((x) => x === 0).length / first.length;
    expect(zeros).toBeGreaterThan(0.098); // 0.1 within four standard deviations
    expect(zeros).toBeLessThan(0.102);
    manualSeed(7);
    const [q, k, v] = [0, 1, 2].map(() => ones([1, 2, 64, 64], { device }).to('bfloat16'));
    expect(difference(causalAttention(q, k, v, 0.5), v)).toBeGreaterThan(0.1);
  });

  it('rounds stochastically to one of two neighbours, right on average, the same for the same seed', () => {
    const n = 100_000;
    const round = (seed: number) =>
      scope(() => {
        const out = torch.empty([n], { dtype: 'bfloat16', device });
        const values = full([n], 1 + 2 ** -7 * 0.3, { device });
        return (op('sled::stochastic_round_')(out, values, seed) as Tensor).toFloat32Array();
      });
    const found = round(11);
    expect(new Set(found)).toEqual(new Set([1, 1 + 2 ** -7]));
    const up = found.filter((x) => x > 1).length / n;
    expect(up).toBeGreaterThan(0.294); // four standard deviations
    expect(up).toBeLessThan(0.306);
    expect(round(11)).toEqual(found);
    expect(round(12)).not.toEqual(found);
  });

  it('float32 products are not rounded to TF32', () => {
    manualSeed(1);
    const [a, b] = [0, 1].map(() => randn([256, 256]));
    const exact = a.to('float64').matmul(b.to('float64'));
    expect(difference(a.to(device).matmul(b.to(device)), exact)).toBeLessThan(1e-4); // TF32: about 0.02
  });

  it.each(['AdamW', 'Muon'] as const)('%s makes the steps that it makes on the CPU', (name) => {
    const steps = (where: Device) => {
      manualSeed(5);
      const param = randn([48, 64]).to(where).requiresGrad_();
      const group = { params: [param], lr: 0.01, weightDecay: 0.1 };
      const optimizer = name === 'AdamW' ? new AdamW([group]) : new Muon([group]);
      for (let i = 0; i < 5; i++) {
        param.square().sum().backward();
        expect(torch.clipGradNorm([param], 1)).toBeGreaterThan(1);
        optimizer.step();
        optimizer.zeroGrad();
      }
      return param;
    };
    // Muon's iterations are in bfloat16: an update of 0.01 is right to some hundredths of its size.
    expect(difference(steps(device), steps('cpu'))).toBeLessThan(name === 'AdamW' ? 1e-5 : 2e-3);
  });

  it('moves tensors there and back, and counts their memory', () => {
    const x = randn([1000, 1000]);
    const moved = torch.moveTo(x, device);
    expect([moved.device, moved.dtype]).toEqual([device, 'float32']);
    expect(difference(moved, x)).toBe(0);
    expect(torch.peakDeviceMemory(device)).toBeGreaterThan(4e6);
    expect(() => ones([2 ** 20, 2 ** 20], { device })).toThrow(/out of memory/);
  });
}
