import { afterAll, expect, test } from 'vitest';
import type { Context, Ops, Tensor } from '@sled-tts/ggml';
import { difference, evaluate, ggml, noise } from '../support.js';

const backend = ggml.backend('cpu', { threads: 1 });
afterAll(() => backend.free());

/** Abramowitz and Stegun 7.1.26, error below 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - poly * Math.exp(-x * x));
}
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

type UnaryName = {
  [K in keyof Ops]: Ops[K] extends (a: Tensor) => Tensor ? K : never;
}[keyof Ops];
const unary: [UnaryName, (x: number) => number, number][] = [
  ['neg', (x) => -x, 0],
  ['abs', Math.abs, 0],
  ['relu', (x) => Math.max(x, 0), 0],
  ['elu', (x) => (x > 0 ? x : Math.expm1(x)), 1e-6],
  ['silu', (x) => x * sigmoid(x), 1e-5],
  ['sigmoid', sigmoid, 1e-6],
  ['tanh', Math.tanh, 1e-6],
  ['softplus', (x) => Math.log1p(Math.exp(x)), 1e-6],
  ['exp', Math.exp, 1e-4],
  ['sin', Math.sin, 1e-6],
  ['cos', Math.cos, 1e-6],
  ['sqr', (x) => x * x, 1e-5],
  ['geluErf', (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), 1e-5],
  // ggml looks the tanh form up in a table of float16
  ['gelu', (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))), 4e-3],
];

test.each(unary)('%s agrees with plain arithmetic', (name, reference, tolerance) => {
  const data = noise(60).map((x) => 4 * x);
  const { ne, values } = evaluate(backend, [{ ne: [5, 4, 3], data }], (context, a) => context.ops[name](a));
  expect(ne).toEqual([5, 4, 3, 1]);
  expect(difference(values, data.map(reference))).toBeLessThanOrEqual(tolerance);
});

test('sqrt and log agree with plain arithmetic on positive numbers', () => {
  const data = noise(60).map((x) => x + 1.5);
  const root = evaluate(backend, [{ ne: [60], data }], ({ ops }, a) => ops.sqrt(a));
  const logarithm = evaluate(backend, [{ ne: [60], data }], ({ ops }, a) => ops.log(a));
  expect(difference(root.values, data.map(Math.sqrt))).toBeLessThan(1e-6);
  expect(difference(logarithm.values, data.map(Math.log))).toBeLessThan(1e-6);
});

const binary: ['add' | 'sub' | 'mul' | 'div', (x: number, y: number) => number][] = [
  ['add', (x, y) => x + y],
  ['sub', (x, y) => x - y],
  ['mul', (x, y) => x * y],
  ['div', (x, y) => x / y],
];

test.each(binary)('%s repeats its second operand over the first', (name, reference) => {
  const a = noise(24);
  const b = noise(4, 2).map((x) => x + 2);
  const inputs = [
    { ne: [4, 6], data: a },
    { ne: [4], data: b },
  ];
  const { values } = evaluate(backend, inputs, (context, x, y) => context.ops[name](x, y));
  expect(difference(values, a.map((x, i) => reference(x, b[i % 4])))).toBeLessThan(1e-6); // prettier-ignore
});

test('gates multiply the activation of one half by the other', () => {
  const gate = noise(24);
  const up = noise(24, 2);
  const inputs = [
    { ne: [4, 6], data: gate },
    { ne: [4, 6], data: up },
  ];
  const silu = evaluate(backend, inputs, ({ ops }, x, y) => ops.swigluSplit(x, y));
  expect(difference(silu.values, gate.map((x, i) => x * sigmoid(x) * up[i]))).toBeLessThan(1e-5); // prettier-ignore
  const gelu = evaluate(backend, inputs, ({ ops }, x, y) => ops.gegluSplit(x, y));
  const reference = gate.map((x, i) => 0.5 * x * (1 + erf(x / Math.SQRT2)) * up[i]);
  expect(difference(gelu.values, reference)).toBeLessThan(4e-3);
});

const alone = (build: (context: Context, a: Tensor) => Tensor, data: Float32Array, ne: number[]) =>
  evaluate(backend, [{ ne, data }], build);

test('scale multiplies and shifts, clamp limits without touching its operand', () => {
  const data = noise(12);
  const scaled = alone(({ ops }, a) => ops.scale(a, 3, -1), data, [12]);
  expect(difference(scaled.values, data.map((x) => 3 * x - 1))).toBeLessThan(1e-6); // prettier-ignore
  const difference0 = alone(({ ops }, a) => ops.sub(ops.clamp(a, -0.5, 0.25), a), data, [12]);
  const reference = data.map((x) => Math.min(0.25, Math.max(-0.5, x)) - x);
  expect(difference(difference0.values, reference)).toBeLessThan(1e-6);
});

test('repeat tiles, sumRows and mean reduce the first dimension', () => {
  const data = noise(6);
  const tiled = alone(({ ops }, a) => ops.repeat(a, [6, 4]), data, [3, 2]);
  expect([...tiled.values]).toEqual(
    Array.from({ length: 24 }, (_, i) => data[((Math.floor(i / 6) % 2) * 3 + (i % 6)) % 6 % 3 + 3 * (Math.floor(i / 6) % 2)]), // prettier-ignore
  );
  const sums = alone(({ ops }, a) => ops.sumRows(a), data, [3, 2]);
  expect(sums.ne).toEqual([1, 2, 1, 1]);
  expect(difference(sums.values, [data[0] + data[1] + data[2], data[3] + data[4] + data[5]])).toBeLessThan(1e-6);
  const means = alone(({ ops }, a) => ops.mean(a), data, [3, 2]);
  expect(difference(means.values, [...sums.values].map((x) => x / 3))).toBeLessThan(1e-6); // prettier-ignore
});

test('norm and rmsNorm normalise each row', () => {
  const data = noise(32);
  const epsilon = 1e-3;
  const normed = alone(({ ops }, a) => ops.norm(a, epsilon), data, [16, 2]);
  const rms = alone(({ ops }, a) => ops.rmsNorm(a, epsilon), data, [16, 2]);
  for (const row of [0, 1]) {
    const x = [...data.subarray(row * 16, row * 16 + 16)];
    const average = x.reduce((sum, value) => sum + value, 0) / 16;
    const variance = x.reduce((sum, value) => sum + (value - average) ** 2, 0) / 16;
    const square = x.reduce((sum, value) => sum + value * value, 0) / 16;
    const part = (values: Float32Array) => values.subarray(row * 16, row * 16 + 16);
    expect(difference(part(normed.values), x.map((v) => (v - average) / Math.sqrt(variance + epsilon)))).toBeLessThan(1e-5); // prettier-ignore
    expect(difference(part(rms.values), x.map((v) => v / Math.sqrt(square + epsilon)))).toBeLessThan(1e-5); // prettier-ignore
  }
});
