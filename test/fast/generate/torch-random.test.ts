import { describe, expect, test } from 'vitest';
import { sharedNoise } from '../../../src/generate/shared-noise.js';
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

test.each([1, 15, 16, 17, 128])('looking ahead at %s samples takes none of them', (size) => {
  const [random, other] = [new TorchRandom(5), new TorchRandom(5)];
  for (let round = 0; round < 700 / size + 3; round++) {
    const [ahead, ...further] = random.peek(size, 3);
    expect(random.peek(size, 1)).toEqual([ahead]);
    expect(random.randn(size)).toEqual(ahead);
    expect(other.randn(size)).toEqual(ahead);
    expect(random.peek(size, 2)).toEqual(further);
  }
});

test('rows that share a generator look ahead without drawing from it', () => {
  const [random, other] = [new TorchRandom(5), new TorchRandom(5)];
  const [first, second] = sharedNoise(random, 2, 16);
  const step = other.randn(32);
  const next = other.peek(32, 2);
  expect(second.peek(16, 3)).toEqual([step, ...next].map((drawn) => drawn.slice(16)));
  expect(first.randn(16)).toEqual(step.slice(0, 16));
  expect(first.peek(16, 2)).toEqual(next.map((drawn) => drawn.slice(0, 16)));
  expect(second.peek(16, 3)).toEqual([step, ...next].map((drawn) => drawn.slice(16)));
  expect(random.randn(16)).toEqual(other.randn(16));
});

test('another seed draws other samples', () => {
  expect(new TorchRandom(1).randn(16)).not.toEqual(new TorchRandom(2).randn(16));
});

test.each([-1, 1.5, NaN, 2 ** 32, Infinity])('refuses the seed %s', (seed) => {
  expect(() => new TorchRandom(seed)).toThrow(/seed: expected an integer from 0 to 4294967295/);
});
