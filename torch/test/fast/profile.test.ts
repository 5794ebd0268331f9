import { expect, it } from 'vitest';
import { profile, randn, scope, TorchError } from '../torch.js';

it('profile counts the operators of both passes, the dearest first', () => {
  scope(() => {
    const w = randn([64, 64]).requiresGrad_();
    const costs = profile(() => {
      for (let i = 0; i < 3; i++) w.matmul(w).silu().sum().backward();
    });
    const calls = new Map(costs.map(({ name, calls }) => [name, calls]));
    expect(calls.get('aten::silu')).toBe(3);
    expect(calls.get('aten::silu_backward')).toBe(3);
    expect(calls.get('aten::mm')).toBe(9);
    expect(costs.every(({ seconds }, i) => i === 0 || seconds <= costs[i - 1].seconds)).toBe(true);
  });
});

it('profile does not nest, and stops when its function throws', () => {
  expect(() => profile(() => profile(() => undefined))).toThrow(TorchError);
  expect(profile(() => undefined)).toEqual([]);
});
