import { afterAll, expect, test } from 'vitest';
import { GgmlError, PACKED_TYPES, type PackedType, ShapeError, TENSOR_TYPES } from '@sled-tts/ggml';
import { difference, ggml, noise } from '../support.js';

const backend = ggml.backend('cpu', { threads: 1 });
afterAll(() => backend.free());

const rootMeanSquare = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

/** Relative root mean square error, measured on this noise with ggml 0.25.1 on an AVX-512 processor. */
const ERRORS: Record<PackedType, number> = {
  f16: 0.000183,
  bf16: 0.00146,
  q8_0: 0.00386,
  q6_K: 0.0132,
  q5_1: 0.0295,
  q5_K: 0.0277,
  q5_0: 0.0311,
  q4_1: 0.0616,
  q4_K: 0.0553,
  iq4_xs: 0.0652,
  iq4_nl: 0.0647,
  q4_0: 0.0669,
  q3_K: 0.127,
  q2_K: 0.229,
};

test.each(PACKED_TYPES)('%s keeps values within its error', async (type) => {
  const values = noise(512 * 4);
  const packed = ggml.quantize(type, values, 512);
  const { blockSize, blockBytes } = TENSOR_TYPES[type];
  expect(packed.byteLength).toBe((values.length / blockSize) * blockBytes);
  const restored = ggml.dequantize(type, packed, values.length);
  const error = rootMeanSquare(values.map((x, i) => x - restored[i])) / rootMeanSquare(values);
  // A third either way: another rounding may pass, another type may not.
  expect(error).toBeLessThan(ERRORS[type] * 1.33);
  expect(error).toBeGreaterThan(ERRORS[type] / 1.33);
  expect(await ggml.quantizeAsync(type, values, 512)).toEqual(packed);
});

test.each(PACKED_TYPES)('%s weights multiply as their restored values do, interleaved or not', (type) => {
  const [K, N, M] = [512, 16, 3];
  const values = noise(K * N);
  const input = noise(K * M, 2);
  const restored = ggml.dequantize(type, ggml.quantize(type, values, K), values.length);
  const expected = Float32Array.from({ length: N * M }, (_, i) => {
    const [row, column] = [i % N, Math.floor(i / N)];
    return restored.subarray(row * K, row * K + K).reduce((sum, w, k) => sum + w * input[column * K + k], 0);
  });
  for (const interleave of [false, true]) {
    const context = ggml.context();
    const w = context.tensor(type, [K, N]);
    const short = context.tensor('q4_0', [K, 7]); // interleaving needs multiples of rows: falls back
    context.allocate(backend, { interleave });
    w.set(values);
    short.set(noise(K * 7));
    const x = context.input('f32', [K, M]);
    const y = context.ops.mulMat(w, x).output();
    const z = context.ops.mulMat(short, x).output();
    const graph = context.graph();
    graph.expand(y);
    graph.expand(z);
    graph.allocate(backend);
    x.set(input);
    graph.computeSync();
    // Products round their input to 8 bits for quantized weights: 1/127 of values up to 1, added at random over K.
    expect(difference(y.get() as Float32Array, expected)).toBeLessThan(TENSOR_TYPES[type].kind === 'float' ? 0.1 : 0.5);
    if (interleave && backend.extraBufferTypes.some((extra) => extra.supports(type, K, N))) {
      expect(() => w.get()).toThrow(/cannot be read back/);
      expect(() => w.set(values.subarray(0, K), 0)).toThrow(/written whole/);
    } else {
      expect(difference(w.get() as Float32Array, restored)).toBe(0);
    }
    graph.free();
    context.free();
  }
});

// A processor without interleaving kernels has nothing to refuse.
const interleaves = backend.extraBufferTypes.some((type) => type.supports('q4_0', 64, 16));
test.skipIf(!interleaves)('an interleaved weight serves mulMat only', () => {
  const context = ggml.context();
  const w = context.tensor('q4_0', [64, 16]);
  context.allocate(backend, { interleave: true });
  const { ops } = context;
  const rows = context.input('i32', [2]);
  const x = context.input('f32', [64, 3, 1, 2]);
  for (const build of [
    () => ops.getRows(w, rows),
    () => ops.cast(w, 'f32'),
    () => ops.mulMat(ops.view(w, [64, 4]), x),
    () => ops.mulMat(ops.reshape(w, 64, 16), x),
    () => ops.mulMat(w, x),
    () => ops.setRows(w, context.input('f32', [64, 2]), rows),
  ]) {
    const graph = context.graph();
    graph.expand(build());
    expect(() => graph.allocate(backend)).toThrow(/interleaved/);
    graph.free();
  }
  context.free();
});

// ggml's alone: ours read columns where they are.
const repacks = backend.extraBufferTypes.some((type) => !type.layout && type.supports('iq4_nl', 64, 16));
test.skipIf(!repacks)('a weight that ggml interleaved is not multiplied by columns with gaps', () => {
  const context = ggml.context();
  const w = context.tensor('iq4_nl', [64, 16]);
  context.allocate(backend, { interleave: true });
  const x = context.input('f32', [96, 5]);
  const graph = context.graph();
  graph.expand(context.ops.mulMat(w, context.ops.view(x, [64, 5], { strides: [96] })));
  expect(() => graph.allocate(backend)).toThrow(/expected contiguous x/);
  graph.free();
  context.free();
});

test('requests that do not fit are refused', async () => {
  const values = noise(64);
  expect(() => ggml.quantize('q4_0', values, 33)).toThrow(ShapeError);
  expect(() => ggml.quantize('q4_0', values, 0)).toThrow(ShapeError);
  expect(() => ggml.quantize('q4_K', values, 64)).toThrow(ShapeError);
  expect(() => ggml.quantize('q4_0', values, 96)).toThrow(/whole rows of 96/);
  expect(() => ggml.quantize('f32' as PackedType, values, 64)).toThrow(/expected a type of f16/);
  expect(() => ggml.quantize('q4_0', [...values] as unknown as Float32Array, 64)).toThrow(TypeError);
  expect(() => ggml.dequantize('q4_0', new Uint8Array(17), 32)).toThrow(ShapeError);
  expect(() => ggml.dequantize('i32', new Uint8Array(4), 1)).toThrow(TypeError);
  await expect(ggml.quantizeAsync('q8_0', values, 7)).rejects.toThrow(ShapeError);
});

test('values that are no numbers do not end the process', () => {
  const values = noise(512).map((x, i) => (i % 7 ? x : [NaN, Infinity, -Infinity, 3e38][i % 4]));
  for (const type of PACKED_TYPES) expect(ggml.quantize(type, values, 256).byteLength).toBeGreaterThan(0);
});

test('tensors take their own type, floats and raw bytes, in part where asked', () => {
  const context = ggml.context();
  const make = (type: keyof typeof TENSOR_TYPES, length = 64) => context.tensor(type, [length]);
  const [f32, f16, i32, i64, q8] = [make('f32'), make('f16'), make('i32'), make('i64'), make('q8_0')];
  context.allocate(backend);
  const values = noise(64);
  f32.set(values);
  f32.set(Float32Array.of(5, 6), 62);
  expect([...(f32.get() as Float32Array).subarray(60)]).toEqual([values[60], values[61], 5, 6]);
  f32.set(new Uint8Array(256));
  expect(f32.get()).toEqual(new Float32Array(64));
  f16.set(new Uint16Array(64).fill(0x3c00));
  expect(f16.get()).toEqual(new Float32Array(64).fill(1));
  f16.set(values);
  expect(difference(f16.get() as Float32Array, values)).toBeLessThan(1e-3);
  i32.set(new Int32Array(64).fill(-7));
  expect((i32.get() as Int32Array)[63]).toBe(-7);
  i64.set(new BigInt64Array(64).fill(2n ** 40n));
  expect((i64.get() as BigInt64Array)[63]).toBe(2n ** 40n);
  q8.set(values);
  expect(q8.getBytes()).toEqual(ggml.quantize('q8_0', values, 64));
  q8.set(values.subarray(0, 32), 32);
  expect(difference((q8.get() as Float32Array).subarray(32), values.subarray(0, 32))).toBeLessThan(0.01);
  const into = new Float32Array(64);
  f32.getInto(into);
  expect(into).toEqual(f32.get());
  for (const call of [
    () => f32.set(values.subarray(1)),
    () => f32.set(values, 1),
    () => f32.set(values, -1),
    () => f32.set(values, 0.5),
    () => f32.set(new Float32Array(65)),
    () => q8.set(values.subarray(0, 32), 16),
    () => q8.set(new Uint8Array(67)),
    () => f32.getInto(new Float32Array(63)),
    () => f16.getInto(new Float32Array(64)),
  ]) {
    expect(call).toThrow(ShapeError);
  }
  for (const call of [
    () => f32.set(new Float64Array(64) as never),
    () => f32.set(new Int32Array(64)),
    () => i32.set(values),
    () => i64.set(new Int32Array(64)),
    () => f32.set(null as never),
    () => f32.set([1, 2] as never),
    () => f32.set('x' as never),
  ]) {
    expect(call).toThrow(/^set: expected /);
  }
  expect(() => context.input('f32', [1]).get()).toThrow(GgmlError);
  context.free();
});

test('row numbers outside of their table are refused when they are set or used', () => {
  const context = ggml.context();
  const { ops } = context;
  const table = context.tensor('f32', [4, 5]);
  const constant = context.tensor('i32', [2]);
  context.allocate(backend);
  const rows = context.input('i32', [2]);
  const graph = context.graph();
  graph.expand(ops.getRows(table, rows).output());
  graph.allocate(backend);
  expect(() => rows.set(Int32Array.of(0, 5))).toThrow(/expected row numbers from 0 to 4/);
  expect(() => rows.set(Int32Array.of(-1, 0))).toThrow(RangeError);
  expect(() => rows.set(new Uint8Array(Int32Array.of(7, 0).buffer))).toThrow(RangeError);
  rows.set(Int32Array.of(4, 0));
  constant.set(Int32Array.of(3, 9));
  expect(() => ops.getRows(table, constant)).toThrow(/already holds 9/);
  constant.set(Int32Array.of(3, -2));
  expect(() => ops.getRows(table, constant)).toThrow(/already holds/);
  constant.set(Int32Array.of(3, 4));
  ops.getRows(table, constant);
  graph.free();
  context.free();
});

test.each(['q8_0', 'q4_K', 'bf16'] as const)(
  'packs %s in shares on several threads into the same bytes',
  async (type) => {
    const values = Float32Array.from({ length: 1031 * 768 }, (_, i) => Math.sin(i * i)); // a prime number of rows
    expect(await ggml.quantizeAsync(type, values, 768)).toEqual(ggml.quantize(type, values, 768));
  },
);
