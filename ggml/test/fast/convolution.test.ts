import { afterAll, expect, test } from 'vitest';
import { difference, evaluate, ggml, noise } from '../support.js';

const backend = ggml.backend('cpu', { threads: 1 });
afterAll(() => backend.free());

const range = (length: number) => Array.from({ length }, (_, i) => i);
const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

test.each([
  { stride: 1, padding: 0, dilation: 1 },
  { stride: 2, padding: 1, dilation: 1 },
  { stride: 1, padding: 2, dilation: 3 },
])('conv1d agrees with its definition at %o', (options) => {
  const [T, Ci, Co, K] = [12, 3, 4, 3];
  const { stride, padding, dilation } = options;
  const x = noise(T * Ci);
  const w = noise(K * Ci * Co, 2);
  const length = Math.floor((T + 2 * padding - dilation * (K - 1) - 1) / stride) + 1;
  const at = (t: number, c: number) => (t >= 0 && t < T ? x[c * T + t] : 0);
  const expected = range(Co).flatMap((o) =>
    range(length).map((t) =>
      sum(
        range(Ci).flatMap((c) =>
          range(K).map((k) => w[(o * Ci + c) * K + k] * at(t * stride + k * dilation - padding, c)),
        ),
      ),
    ),
  );
  const inputs = [
    { ne: [K, Ci, Co], data: w },
    { ne: [T, Ci], data: x },
  ];
  const { ne, values } = evaluate(backend, inputs, ({ ops }, kernel, a) => ops.conv1d(kernel, a, options));
  expect(ne).toEqual([length, Co, 1, 1]);
  expect(difference(values, expected)).toBeLessThan(1e-5);
});

test('a product with windows is a convolution with channels fastest', () => {
  const [T, Ci, Co, K, stride] = [11, 3, 4, 4, 2];
  const x = noise(T * Ci);
  const w = noise(K * Ci * Co, 2);
  const length = Math.floor((T - K) / stride) + 1;
  const expected = range(length).flatMap((t) =>
    range(Co).map((o) => sum(range(K * Ci).map((i) => w[o * K * Ci + i] * x[t * stride * Ci + i]))),
  );
  const inputs = [
    { ne: [K * Ci, Co], data: w },
    { ne: [Ci, T], data: x },
  ];
  const { ne, values } = evaluate(backend, inputs, ({ ops }, kernel, a) =>
    ops.mulMat(kernel, ops.windows(a, { width: K, stride })),
  );
  expect(ne).toEqual([Co, length, 1, 1]);
  expect(difference(values, expected)).toBeLessThan(1e-5);
});

test.each([
  { stride: 1, dilation: 1, batch: 1 },
  { stride: 2, dilation: 1, batch: 2 },
  { stride: 1, dilation: 2, batch: 3 },
])('convDepthwise agrees with its definition at %o', ({ stride, dilation, batch }) => {
  const [T, C, K] = [15, 19, 7];
  const x = noise(T * C * batch);
  const w = noise(K * C, 2);
  const length = Math.floor((T - dilation * (K - 1) - 1) / stride) + 1;
  const expected = range(batch).flatMap((b) =>
    range(length).flatMap((t) =>
      range(C).map((c) => sum(range(K).map((k) => w[k * C + c] * x[(b * T + t * stride + k * dilation) * C + c]))),
    ),
  );
  const inputs = [
    { ne: [C, K], data: w },
    { ne: [C, T, 1, batch], data: x },
  ];
  const { ne, values } = evaluate(backend, inputs, ({ ops }, kernel, a) =>
    ops.convDepthwise(kernel, a, { stride, dilation }),
  );
  expect(ne).toEqual([C, length, 1, batch]);
  expect(difference(values, expected)).toBeLessThan(1e-5);
});

test('ssmConv agrees with its definition', () => {
  const [T, C, K] = [5, 6, 4];
  const x = noise((K - 1 + T) * C);
  const w = noise(K * C, 2);
  const expected = range(T).flatMap((t) =>
    range(C).map((c) => sum(range(K).map((k) => w[c * K + k] * x[c * (K - 1 + T) + t + k]))),
  );
  const inputs = [
    { ne: [K, C], data: w },
    { ne: [K - 1 + T, C], data: x },
  ];
  const { ne, values } = evaluate(backend, inputs, ({ ops }, kernel, a) => ops.ssmConv(kernel, a));
  expect(ne).toEqual([C, T, 1, 1]);
  expect(difference(values, expected)).toBeLessThan(1e-5);
});

test('convTranspose1d and the overlap-add of a product agree with the definition', () => {
  const [T, Ci, Co, K, stride] = [5, 3, 2, 6, 3];
  const x = noise(T * Ci); // [T, Ci], time fastest
  const w = noise(K * Co * Ci, 2); // [K, Co, Ci]
  const length = (T - 1) * stride + K;
  const expected = new Float64Array(length * Co);
  for (const t of range(T))
    for (const c of range(Ci))
      for (const o of range(Co))
        for (const k of range(K)) expected[o * length + t * stride + k] += x[c * T + t] * w[(c * Co + o) * K + k];
  const inputs = [
    { ne: [K, Co, Ci], data: w },
    { ne: [T, Ci], data: x },
  ];
  const direct = evaluate(backend, inputs, ({ ops }, kernel, a) => ops.convTranspose1d(kernel, a, stride));
  expect(direct.ne).toEqual([length, Co, 1, 1]);
  expect(difference(direct.values, expected)).toBeLessThan(1e-5);
  const added = evaluate(backend, inputs, ({ ops }, kernel, a) => {
    const matrix = ops.cont(ops.transpose(ops.reshape(kernel, K * Co, Ci))); // [Ci, K * Co]
    const columns = ops.mulMat(matrix, ops.cont(ops.transpose(a))); // [K * Co, T]
    return ops.col2im1d(columns, { stride, channels: Co });
  });
  expect(difference(added.values, expected)).toBeLessThan(1e-5);
});

test('padReflect1d mirrors without the edge, pad puts zeros', () => {
  const data = Float32Array.of(1, 2, 3, 4);
  const mirrored = evaluate(backend, [{ ne: [4], data }], ({ ops }, a) => ops.padReflect1d(a, 2, 1));
  expect([...mirrored.values]).toEqual([3, 2, 1, 2, 3, 4, 3]);
  const padded = evaluate(backend, [{ ne: [2, 2], data }], ({ ops }, a) => ops.pad(a, [1], [0, 1]));
  expect([...padded.values]).toEqual([0, 1, 2, 0, 3, 4, 0, 0, 0]);
});
