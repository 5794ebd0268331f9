import { describe, expect, it } from 'vitest';
import * as torch from '../torch.js';
import { linear, op, tensor, TorchError, type Tensor } from '../torch.js';

const untyped = (value: unknown) => value as Tensor;

describe('errors', () => {
  it('name the operator and keep to one line', () => {
    const act = () => tensor([1, 2], [1, 2]).matmul(tensor([1, 2, 3], [3, 1]));
    expect(act).toThrow(TorchError);
    expect(act).toThrow(/^aten::matmul: .*cannot be multiplied.*$/);
  });

  it('come before the call for arguments of the wrong kind', () => {
    const x = tensor([1], [1, 1]);
    expect(() => linear(x, untyped(3))).toThrow(new TypeError('aten::linear: expected tensor for weight, got 3'));
    expect(() => linear(x, untyped(undefined))).toThrow('aten::linear: weight is missing');
    expect(() => torch.cat([x, untyped('y')])).toThrow(TypeError);
    expect(() => x.select(0, 0.5)).toThrow('aten::select.int: expected int for index, got 0.5');
    expect(() => op('silu')(x, 1)).toThrow('aten::silu: expected at most 1 arguments, got 2');
    expect(() => op('gelu')(x, { how: 'tanh' })).toThrow('aten::gelu: no argument how; it takes self, approximate');
    expect(() => torch.zeros([1], { dtype: untyped('float8') as never })).toThrow(
      /dtype: expected one of uint8, .*, got float8/,
    );
  });

  it('say that a tensor was freed', () => {
    const x = tensor([1]);
    const y = x.add(1);
    x.free();
    expect(() => y.add(x)).toThrow('aten::add.Tensor: the tensor given as other was freed');
    expect(() => x.exp()).toThrow('aten::exp: the tensor given as self was freed');
    expect(() => x.shape).toThrow(/was freed/);
    expect(() => x.item()).toThrow(/was freed/);
    expect(() => x.backward()).toThrow(/was freed/);
    expect(String(x)).toBe('Tensor(freed)');
  });

  it('name operators that do not exist', () => {
    expect(() => op('aten::no_such_thing')()).toThrow('libtorch has no operator aten::no_such_thing');
    expect(() => op('add', 'nope')()).toThrow(TorchError);
  });

  it('refuse data that does not fill the shape', () => {
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow('expected 16 bytes for shape [2, 2], got 12');
    expect(() => tensor([1], [-1])).toThrow(RangeError);
    expect(() => tensor([1, 2]).item()).toThrow(TorchError);
  });

  it('leave the addon usable', () => {
    for (let i = 0; i < 100; i++) expect(() => tensor([1, 2]).add(tensor([1, 2, 3]))).toThrow(TorchError);
    expect(tensor([1, 2]).add(1).sum().item()).toBe(5);
  });
});
