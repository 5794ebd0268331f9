import { expect, test } from 'vitest';
import { hashUniform, hashWeights } from '../../golden/hash-weights.js';

test('hashed weights are those of hash_weights.py', () => {
  const u = hashUniform('model.norm.weight', 5);
  expect([...u].map((x) => x.toFixed(8))).toEqual([
    '-0.95087254',
    '0.39732361',
    '-0.66698718',
    '-0.11552727',
    '0.44173717',
  ]);
  const weights = hashWeights('x.weight', [1, 24]);
  expect(weights[0]).toBeCloseTo(-0.10860708, 7);
  expect(weights[2]).toBeCloseTo(0.12945144, 7);
});
