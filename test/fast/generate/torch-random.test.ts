import { describe, expect, test } from 'vitest';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { readSafetensors, toFloat32 } from '../../../src/model/safetensors.js';

const golden = readSafetensors(new URL('../../golden/torch-random.safetensors', import.meta.url).pathname);

describe.each(['0', '42', '4294967295'])('seed %s', (seed) => {
  test('draws PyTorch’s samples bit for bit at every size, in any order', () => {
    const random = new TorchRandom(Number(seed));
    const names = [...golden.tensors.keys()].filter((name) => name.startsWith(`${seed}.`)).sort();
    expect(names).toHaveLength(13);
    for (const name of names) {
      const [, , kind, size] = name.split('.');
      const drawn = kind === 'rand' ? random.rand(Number(size)) : random.randn(Number(size));
      expect(drawn, name).toEqual(toFloat32(golden.tensors.get(name)!));
    }
  });
});

test('another seed draws other samples', () => {
  expect(new TorchRandom(1).randn(16)).not.toEqual(new TorchRandom(2).randn(16));
});

test.each([-1, 1.5, NaN, 2 ** 32, Infinity])('refuses the seed %s', (seed) => {
  expect(() => new TorchRandom(seed)).toThrow(/seed: expected an integer from 0 to 4294967295/);
});
