/** Weights made from names; the same values as hash_weights.py, which documents the rule. */

function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** [count] values in [-1, 1), multiples of 2^-23. */
export function hashUniform(name: string, count: number): Float64Array {
  const seed = fnv1a(name);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let x = (Math.imul(i, 0x9e3779b9) + seed) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    values[i] = (x >>> 8) / 2 ** 23 - 1;
  }
  return values;
}

function scaleAndOffset(name: string, shape: readonly number[], eosGain: number): [number, number] {
  if (name.endsWith('.bias')) return [0.1, 0];
  if (name.endsWith('norm.weight') || name.endsWith('_ln.weight')) return [0.1, 1];
  if (name === 'eos_head.weight') return [eosGain * Math.sqrt(3 / shape[1]), 0];
  if (name === 'model.embed_tokens.weight') return [Math.sqrt(3), 0];
  return [Math.sqrt(3 / shape[1]), 0];
}

/** The hashed values of the checkpoint tensor `name`, row-major. */
export function hashWeights(name: string, shape: readonly number[], eosGain = 0.5): Float32Array {
  const [scale, offset] = scaleAndOffset(name, shape, eosGain);
  const count = shape.reduce((product, size) => product * size, 1);
  return Float32Array.from(hashUniform(name, count), (u) => offset + scale * u);
}
