import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.js';
import * as torch from '../torch.js';
import { liveTensors, scope, tensor } from '../torch.js';

describe('scope', () => {
  it('keeps the number of live tensors flat over 100 training steps', () => {
    const w = torch.randn([8, 8]).requiresGrad_();
    const optimizer = new torch.AdamW([{ params: [w], lr: 1e-3, weightDecay: 0.1 }]);
    const step = () =>
      scope(() => {
        const x = torch.randn([4, 8]);
        const loss = torch.linear(x, w).silu().square().mean();
        loss.backward();
        torch.clipGradNorm([w], 1);
        optimizer.step();
        optimizer.zeroGrad();
        return loss.item();
      });
    step();
    const before = liveTensors();
    for (let i = 0; i < 100; i++) step();
    expect(liveTensors()).toBe(before);
  });

  it('passes what its result holds to the enclosing scope', () => {
    const before = liveTensors();
    scope(() => {
      const made = scope(() => {
        const x = tensor([1, 2]);
        x.add(1);
        return { x, parts: [x.mul(2), { deep: x.mul(3) }], name: 'kept' };
      });
      expect(liveTensors()).toBe(before + 3);
      expect(made.parts.length).toBe(2);
      expect(made.x.sum().item()).toBe(3);
    });
    expect(liveTensors()).toBe(before);
  });

  it('frees when its function throws', () => {
    const before = liveTensors();
    expect(() => scope(() => tensor([1]).add(tensor([1, 2, 3]).view(7)))).toThrow(torch.TorchError);
    expect(liveTensors()).toBe(before);
  });

  it('leaves tensors from outside alone', () => {
    const x = tensor([1]);
    scope(() => x);
    scope(() => x.add_(1));
    expect(x.item()).toBe(2);
    x.free();
    x.free();
    expect(x.isFreed).toBe(true);
  });

  it('lets state escape with keep', () => {
    let kept: torch.Tensor | undefined;
    scope(() => scope(() => (kept = torch.keep(tensor([7])), undefined))); // prettier-ignore
    expect(kept!.item()).toBe(7);
    kept!.free();
  });

  it('refuses async functions', () => {
    expect(() => scope(async () => tensor([1]))).toThrow(/synchronous/);
  });
});

describe('garbage collection', () => {
  it('frees tensors that nothing refers to', async () => {
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const [before, external] = [liveTensors(), native.externalMemory()];
    for (let i = 0; i < 50; i++) torch.zeros([1000]);
    expect(liveTensors()).toBe(before + 50);
    expect(native.externalMemory()).toBeGreaterThanOrEqual(external + 200_000);
    for (let i = 0; i < 20 && liveTensors() > before + 1; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(liveTensors()).toBeLessThanOrEqual(before + 1);
    expect(native.externalMemory()).toBeLessThan(external + 10_000);
  });
});
