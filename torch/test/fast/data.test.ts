import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { fromBuffer, tensor, type DType } from '../torch.js';

describe('data in and out', () => {
  it.each([
    new Float32Array([1, -2, 3]),
    new Float64Array([1, -2, 3]),
    new BigInt64Array([1n, -2n, 2n ** 60n]),
    new Int32Array([1, -2, 3]),
    new Int16Array([1, -2, 3]),
    new Int8Array([1, -2, 3]),
    new Uint8Array([1, 2, 255]),
  ])('copies %s both ways unchanged', (data) => {
    const x = tensor(data, [3]);
    expect(x.toTypedArray()).toEqual(data);
    data[0] = data[1];
    expect(x.toTypedArray()).not.toEqual(data);
  });

  it('converts to the dtype asked for', () => {
    expect(tensor([1.5, 2], [2], 'bfloat16').dtype).toBe('bfloat16');
    expect(tensor(new Float32Array([1.5]), [1], 'float64').dtype).toBe('float64');
    expect(tensor(new Uint8Array([1, 0]), [2], 'bool').dtype).toBe('bool');
    expect(tensor([1, 2, 3, 4], [2], 'complex64').shape).toEqual([2]);
    expect(tensor([1.5], [1], 'bfloat16').toTypedArray()).toEqual(new Float32Array([1.5]));
    expect(tensor([3], [1], 'int64').to('float16').toFloat32Array()).toEqual(new Float32Array([3]));
  });

  it('reads raw bfloat16', () => {
    expect(tensor(new Uint16Array([0x3f80, 0xc000]), [2], 'bfloat16').toFloat32Array()).toEqual(
      new Float32Array([1, -2]),
    );
  });

  it('reads views in row-major order', () => {
    const x = tensor(new Float32Array([0, 1, 2, 3, 4, 5]).subarray(2), [2, 2]).t();
    expect(x.toFloat32Array()).toEqual(new Float32Array([2, 4, 3, 5]));
  });

  it('shares memory with fromBuffer', () => {
    const data = new Float32Array([1, 2]);
    const x = fromBuffer(data);
    data[0] = 5;
    x.mul_(2);
    expect(Array.from(data)).toEqual([10, 4]);
    x.free();
  });

  it('describes itself', () => {
    const x = torch.zeros([2, 0, 3], { dtype: 'int32' });
    expect([x.shape, x.ndim, x.numel, x.dtype, x.device]).toEqual([[2, 0, 3], 3, 0, 'int32', 'cpu']);
    expect(String(tensor([1]))).toBe('Tensor([1], float32, cpu)');
    expect(tensor([4], []).shape).toEqual([]);
  });

  it('fills new tensors', () => {
    expect(torch.arange(3).toTypedArray()).toEqual(new BigInt64Array([0n, 1n, 2n]));
    expect(torch.arange(1, 2, 0.5, { dtype: 'float32' }).toTypedArray()).toEqual(new Float32Array([1, 1.5]));
    expect(torch.full([2], 0.5).toTypedArray()).toEqual(new Float32Array([0.5, 0.5]));
    expect(torch.ones([1], { dtype: 'bool' }).dtype).toBe('bool');
    expect(torch.onesLike(torch.zeros([2], { dtype: 'int16' })).dtype satisfies DType).toBe('int16');
    expect(torch.linspace(0, 1, 3).toTypedArray()).toEqual(new Float32Array([0, 0.5, 1]));
    const drawn = torch.randint(2, 5, [100]).toTypedArray() as BigInt64Array;
    expect(new Set(drawn)).toEqual(new Set([2n, 3n, 4n]));
    expect(torch.randperm(5).sum().item()).toBe(10);
  });

  it('moves large results without converting them one by one', () => {
    const x = torch.randn([1000, 1000]);
    const out = x.toFloat32Array();
    expect(out.length).toBe(1_000_000);
    expect(tensor(out, [1000, 1000]).sub(x).abs().max().item()).toBe(0);
  });
});
