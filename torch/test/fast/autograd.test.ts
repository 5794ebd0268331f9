import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { noGrad, scope, tensor, type Tensor } from '../torch.js';

/** Compares gradients of sum(weights * f(x)) with central differences, in float64. */
function checkGradient(f: (x: Tensor) => Tensor, shape: number[]): void {
  scope(() => {
    const x = torch.randn(shape, { dtype: 'float64' }).requiresGrad_();
    const weights = noGrad(() => torch.randnLike(f(x)));
    const loss = (at: Tensor) => f(at).mul(weights).sum();
    loss(x).backward();
    const gradient = x.grad!.toTypedArray() as Float64Array;
    const start = x.toTypedArray() as Float64Array;
    const step = 1e-6;
    gradient.forEach((value, i) => {
      const shifted = [1, -1].map((sign) => {
        const moved = start.slice();
        moved[i] += sign * step;
        return noGrad(() => loss(tensor(moved, shape))).item();
      });
      expect(value).toBeCloseTo((shifted[0] - shifted[1]) / (2 * step), 5);
    });
  });
}

describe('gradients', () => {
  it.each<[string, (x: Tensor) => Tensor]>([
    ['silu', (x) => x.silu()],
    ['softmax', (x) => x.softmax(-1)],
    ['products', (x) => x.matmul(x.t()).mul(x.matmul(x.t()).tanh())],
    ['layer norm', (x) => torch.layerNorm(x, [4])],
    ['rms norm', (x) => torch.rmsNorm(x, [4])],
    ['norm', (x) => x.norm(1)],
    ['slices', (x) => torch.cat([x.slice(1, 0, 2).exp(), x.select(0, 1).unsqueeze(0).expand(3, 4)], 1)],
    ['convolution', (x) => torch.conv1d(x.unsqueeze(0), x.slice(1, 0, 2).unsqueeze(0))],
    [
      'stft',
      (x) =>
        torch
          .stft(x, { fftSize: 4, hopLength: 2, window: torch.hannWindow(4, { dtype: 'float64' }), center: false })
          .abs(),
    ],
    ['attention', (x) => torch.scaledDotProductAttention(...([x, x, x].map((h) => h.view(1, 1, 3, 4)) as [Tensor, Tensor, Tensor]), { isCausal: true })], // prettier-ignore
  ])('of %s agree with finite differences', (_, f) => {
    torch.manualSeed(1);
    checkGradient(f, [3, 4]);
  });

  it('gather over several backward passes until they are cleared', () => {
    const w = tensor([2, 3]).requiresGrad_();
    w.square().sum().backward();
    w.square().sum().backward();
    expect(w.grad!.toFloat32Array()).toEqual(new Float32Array([8, 12]));
    w.grad = null;
    expect(w.grad).toBeNull();
    w.grad = tensor([1, 1]);
    expect(w.grad!.sum().item()).toBe(2);
  });

  it('start from a given gradient', () => {
    const w = tensor([2, 3]).requiresGrad_();
    w.mul(2).backward(tensor([1, 10]));
    expect(w.grad!.toFloat32Array()).toEqual(new Float32Array([2, 20]));
  });

  it('are not recorded in noGrad, nor through detach', () => {
    const w = tensor([1]).requiresGrad_();
    expect(noGrad(() => w.mul(2)).requiresGrad).toBe(false);
    expect(noGrad(() => torch.enableGrad(() => w.mul(2))).requiresGrad).toBe(true);
    expect(w.detach().requiresGrad).toBe(false);
    expect(() => noGrad(() => { throw new Error('stop'); })).toThrow('stop'); // prettier-ignore
    expect(w.mul(2).requiresGrad).toBe(true);
  });

  it('go through the graph twice only when it is retained', () => {
    const w = tensor([3]).requiresGrad_();
    const loss = w.square().sum();
    loss.backward(undefined, { retainGraph: true });
    loss.backward();
    expect(w.grad!.item()).toBe(12);
    expect(() => loss.backward()).toThrow(torch.TorchError);
  });
});
