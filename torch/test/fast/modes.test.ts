import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { autocast, Generator, getRngState, manualSeed, randn, setRngState, tensor } from '../torch.js';

describe('autocast', () => {
  const w = torch.randn([4, 4]).requiresGrad_();
  const x = torch.randn([2, 4]);

  it('computes products in bfloat16 and gives float32 gradients', () => {
    const y = autocast('bfloat16', () => torch.linear(x, w));
    expect(y.dtype).toBe('bfloat16');
    y.sum().backward();
    expect(w.grad!.dtype).toBe('float32');
    w.grad = null;
  });

  it('nests, turns off inside and survives exceptions', () => {
    const dtypes = autocast('bfloat16', () => {
      const off = autocast(null, () => torch.linear(x, w).dtype);
      const again = torch.linear(x, w).dtype;
      expect(() => autocast('float16', () => { throw new Error('stop'); })).toThrow('stop'); // prettier-ignore
      return [off, again, torch.linear(x, w).dtype];
    });
    expect(dtypes).toEqual(['float32', 'bfloat16', 'bfloat16']);
    expect(torch.linear(x, w).dtype).toBe('float32');
  });

  it('sees parameters that changed since the last time', () => {
    const output = () => autocast('bfloat16', () => torch.linear(x, w)).sum().item(); // prettier-ignore
    const before = output();
    torch.noGrad(() => w.mul_(2));
    // Doubling is exact in bfloat16.
    expect(output()).toBe(2 * before);
  });
});

describe('random numbers', () => {
  it('are those of PyTorch for the same seed', () => {
    manualSeed(0);
    const expected = [1.540996, -0.293429, -2.178789];
    Array.from(randn([3]).toFloat32Array()).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5));
  });

  it('continue from a saved state', () => {
    manualSeed(7);
    randn([5]);
    const state = getRngState();
    const first = randn([20]).toFloat32Array();
    setRngState(state);
    expect(randn([20]).toFloat32Array()).toEqual(first);
    expect(() => setRngState(new Uint8Array(3))).toThrow(torch.TorchError);
  });

  it('come from a generator of their own where one is given', () => {
    manualSeed(1);
    const state = getRngState();
    const a = randn([4], { generator: new Generator(5) }).toFloat32Array();
    const b = tensor([0, 0, 0, 0]).normal_(0, 1, new Generator(0).manualSeed(5)).toFloat32Array();
    expect(a).toEqual(b);
    expect(getRngState()).toEqual(state);
  });
});

describe('the process', () => {
  it('sets threads and denormals', () => {
    const before = torch.getNumThreads();
    torch.setNumThreads(1);
    expect(torch.getNumThreads()).toBe(1);
    torch.setNumThreads(before);
    expect(torch.setFlushDenormal(true)).toBe(true);
    expect(tensor([1e-42]).mul(1).item()).toBe(0);
    torch.setFlushDenormal(false);
    expect(() => torch.setNumThreads(0)).toThrow(RangeError);
    expect(torch.version()).toMatch(/^2\.\d+/);
  });

  it('ends cleanly with tensors alive, in the main thread and in a worker', () => {
    const addon = fileURLToPath(new URL('../../build/torch.node', import.meta.url));
    const makeTensor = `
      const torch = require(${JSON.stringify(addon)});
      torch.sharedBuffer().set([2, 2]);
      torch.setRequiresGrad(torch.create(new Float32Array(4), 6, 2, 0), 1);`;
    const script = `${makeTensor}
      const worker = new (require('node:worker_threads').Worker)(${JSON.stringify(makeTensor)}, { eval: true });
      worker.on('exit', (code) => console.log('worker', code, 'main', torch.liveTensors()));`;
    const result = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect([result.status, result.signal, result.stdout.trim()]).toEqual([0, null, 'worker 0 main 1']);
  });
});
