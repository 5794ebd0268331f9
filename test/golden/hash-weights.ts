/** Weights made from names; the same values as hash_weights.py, which documents the rule. */

function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Value i of a tensor, in [-1, 1): a multiple of 2^-23. */
function uniform(seed: number, i: number): number {
  let x = (Math.imul(i, 0x9e3779b9) + seed) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  x ^= x >>> 16;
  return (x >>> 8) / 2 ** 23 - 1;
}

/** [count] values in [-1, 1), multiples of 2^-23. */
export function hashUniform(name: string, count: number): Float64Array {
  const seed = fnv1a(name);
  return Float64Array.from({ length: count }, (_, i) => uniform(seed, i));
}

function scaleAndOffset(name: string, shape: readonly number[]): [number, number] {
  if (name.endsWith('.bias')) return [0.1, 0];
  if (name.endsWith('norm.weight') || name.endsWith('_ln.weight')) return [0.1, 1];
  if (name === 'eos_head.weight') return [0.5 * Math.sqrt(3 / shape[1]), 0];
  if (name === 'model.embed_tokens.weight') return [Math.sqrt(3), 0];
  return [Math.sqrt(3 / shape[1]), 0];
}

/** The hashed values of the checkpoint tensor `name`, row-major, `gain` times the rule's scale. */
export function hashWeights(name: string, shape: readonly number[], gain = 1): Float32Array {
  const [ruled, offset] = scaleAndOffset(name, shape);
  const scale = gain * ruled;
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  const seed = fnv1a(name);
  // 204 million values at full size: a plain loop makes them in about a second.
  for (let i = 0; i < values.length; i++) values[i] = offset + scale * uniform(seed, i);
  return values;
}
