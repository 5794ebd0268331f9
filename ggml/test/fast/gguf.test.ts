import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { GgmlError, type GgufContent, type GgufInput, openGguf, ShapeError, writeGguf } from '@sled-tts/ggml';
import { ggml, noise } from '../support.js';

const directory = mkdtempSync(path.join(tmpdir(), 'gguf-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string) => path.join(directory, name);

const weights = noise(64 * 3);
const content = {
  metadata: {
    'general.architecture': 'sled',
    text: 'Grüße, 世界',
    empty: '',
    yes: true,
    no: false,
    whole: 7,
    negative: -7,
    half: 0.1,
    small: { kind: 'f32', value: 0.5 },
    byte: { kind: 'u8', value: 255 },
    signedByte: { kind: 'i8', value: -128 },
    short: { kind: 'u16', value: 65_535 },
    signedShort: { kind: 'i16', value: -32_768 },
    signed: { kind: 'i32', value: -5 },
    wide: 2n ** 63n,
    names: ['a', '', 'ü'],
    none: new Float32Array(0),
    bytes: Uint8Array.of(1, 2),
    floats: Float32Array.of(1.5, -2),
    doubles: Float64Array.of(0.1),
    longs: BigInt64Array.of(-(2n ** 62n)),
  },
  tensors: [
    { name: 'w', type: 'f32', ne: [64, 3], data: weights },
    { name: 'q', type: 'q8_0', ne: [64, 3], data: ggml.quantize('q8_0', weights, 64) },
    { name: 'odd', type: 'i8', ne: [5], data: Int8Array.of(1, 2, 3, 4, 5) },
  ],
} satisfies GgufContent;

test('metadata of every kind and tensors come back as they were written', async () => {
  const target = file('round.gguf');
  await writeGguf(ggml, target, content);
  const gguf = await openGguf(ggml, target);
  const plain = (value: GgufInput) => (typeof value === 'object' && 'kind' in value ? value.value : value);
  const expected = Object.entries(content.metadata).map(([key, value]) => [key, plain(value)] as const);
  expect([...gguf.metadata]).toEqual(expected);
  for (const tensor of content.tensors) {
    expect(gguf.tensors.get(tensor.name)).toMatchObject({ type: tensor.type, ne: tensor.ne });
    const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
    expect(await gguf.read(tensor.name)).toEqual(new Uint8Array(bytes));
  }
  await expect(gguf.read('nothing')).rejects.toThrow(/no tensor "nothing"/);
  await gguf.close();
  expect(readdirSync(directory)).toEqual(['round.gguf']);
});

/** Opens bytes as a file; the error if there is one. */
async function problemOf(bytes: Uint8Array): Promise<unknown> {
  const target = file('broken.gguf');
  writeFileSync(target, bytes);
  try {
    const gguf = await openGguf(ggml, target);
    for (const name of gguf.tensors.keys()) await gguf.read(name);
    await gguf.close();
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a file cut anywhere is refused', async () => {
  const small: GgufContent = {
    metadata: { name: 'x', list: ['a', 'b'], numbers: Float32Array.of(1, 2) },
    tensors: [{ name: 'w', type: 'f32', ne: [8, 2], data: noise(16) }],
  };
  await writeGguf(ggml, file('cut.gguf'), small);
  const bytes = readFileSync(file('cut.gguf'));
  for (let length = 0; length < bytes.length; length++) {
    expect(await problemOf(bytes.subarray(0, length)), `${length} bytes`).toBeInstanceOf(GgmlError);
  }
  expect(await problemOf(bytes)).toBeUndefined();
});

/** A tiny file by hand: version, counts, then the given parts. */
function header(
  parts: readonly (number | bigint | string)[],
  start = { magic: 0x46554747, version: 3, tensors: 1, keys: 0 },
) {
  const { magic, version, tensors, keys } = start;
  const pieces = [magic, version, BigInt(tensors), BigInt(keys), ...parts].map((part) => {
    if (typeof part === 'number') return new Uint8Array(Uint32Array.of(part).buffer);
    if (typeof part === 'bigint') return new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, part)).buffer);
    const text = new TextEncoder().encode(part);
    return Uint8Array.from([...new Uint8Array(BigUint64Array.of(BigInt(text.length)).buffer), ...text]);
  });
  return Buffer.concat([...pieces, new Uint8Array(512)]);
}

const good = ['w', 1, 32n, 0, 0n] as const; // name, rank, ne0, f32, offset

test('the file by hand is a good one, so that the next tests break one thing each', async () => {
  expect(await problemOf(header(good))).toBeUndefined();
});

const start = { magic: 0x46554747, version: 3, tensors: 1, keys: 0 };
test.each<[string, Uint8Array]>([
  ['another magic number', header(good, { ...start, magic: 0x46554748 })],
  ['version 1', header(good, { ...start, version: 1 })],
  ['version 4', header(good, { ...start, version: 4 })],
  ['a byte-swapped version', header(good, { ...start, version: 0x03000000 })],
  ['too many tensors', header(good, { ...start, tensors: 2 ** 40 })],
  ['too many keys', header(good, { ...start, keys: 2 ** 40 })],
  ['a name of 2^63 bytes', header([2n ** 63n])],
  ['a name of 64 bytes', header(['x'.repeat(64), 1, 32n, 0, 0n])],
  ['a name with a zero byte', header(['a\0b', 1, 32n, 0, 0n])],
  ['no dimension', header(['w', 0, 0, 0n])],
  ['five dimensions', header(['w', 5, 1n, 1n, 1n, 1n, 1n, 0, 0n])],
  ['a dimension of zero', header(['w', 1, 0n, 0, 0n])],
  ['a negative dimension', header(['w', 1, -1n, 0, 0n])],
  ['dimensions whose product overflows', header(['w', 4, 2n ** 30n, 2n ** 30n, 2n ** 30n, 2n ** 30n, 0, 0n])],
  ['an unknown type', header(['w', 1, 32n, 99, 0n])],
  ['a removed type', header(['w', 1, 32n, 4, 0n])],
  ['half a block', header(['w', 1, 31n, 2, 0n])],
  ['an offset past the end', header(['w', 1, 32n, 0, 1n << 40n])],
  ['an unaligned offset', header(['w', 1, 32n, 0, 4n])],
  ['data past the end', header(['w', 2, 32n, 100n, 0, 0n])],
  ['a tensor twice', header([...good, 'w', 1, 32n, 0, 128n], { ...start, tensors: 2 })],
  ['tensors that overlap', header([...good, 'v', 1, 32n, 0, 0n], { ...start, tensors: 2 })],
  ['a key twice', header(['k', 4, 1, 'k', 4, 1, ...good], { ...start, keys: 2 })],
  ['an empty key', header(['', 4, 1, ...good], { ...start, keys: 1 })],
  ['an unknown kind of value', header(['k', 13, 1, ...good], { ...start, keys: 1 })],
  ['an array of arrays', header(['k', 9, 9, 1n, ...good], { ...start, keys: 1 })],
  ['an endless array', header(['k', 9, 4, 2n ** 62n, ...good], { ...start, keys: 1 })],
  ['an endless string', header(['k', 8, 2n ** 62n, ...good], { ...start, keys: 1 })],
  ['an alignment of zero', header(['general.alignment', 4, 0, ...good], { ...start, keys: 1 })],
  ['an alignment of 24', header(['general.alignment', 4, 24, ...good], { ...start, keys: 1 })],
  ['an alignment of 2^31', header(['general.alignment', 4, 2 ** 31, ...good], { ...start, keys: 1 })],
  ['an alignment that is a float', header(['general.alignment', 6, 0, ...good], { ...start, keys: 1 })],
])('a file with %s is refused', async (_, bytes) => {
  const problem = await problemOf(bytes);
  expect(problem).toBeInstanceOf(GgmlError);
  expect((problem as Error).message).toMatch(/^.*broken\.gguf: GGUF: .{10,}/);
});

test('a file with any single bit flipped is read or refused, never fatal', async () => {
  await writeGguf(ggml, file('flip.gguf'), content);
  const bytes = readFileSync(file('flip.gguf'));
  const dataStart = bytes.length - 2 * 32 - 64 * 3 * 4 - 64 * 3;
  let refused = 0;
  for (let position = 0; position < dataStart; position += 5) {
    const flipped = Uint8Array.from(bytes);
    flipped[position] ^= 1 << (position % 8);
    const problem = await problemOf(flipped);
    if (problem === undefined) continue;
    expect(problem).toBeInstanceOf(GgmlError);
    refused++;
  }
  expect(refused).toBeGreaterThan(30);
});

test('wrong content is refused before anything is written', async () => {
  const target = file('wrong.gguf');
  const tensor = content.tensors[0];
  const cases: [GgufContent, unknown][] = [
    [{ metadata: {}, tensors: [{ ...tensor, data: new Float32Array(3) }] }, ShapeError],
    [{ metadata: {}, tensors: [{ ...tensor, ne: [0] }] }, ShapeError],
    [{ metadata: {}, tensors: [{ ...tensor, data: [1] as never }] }, TypeError],
    [{ metadata: {}, tensors: [{ ...tensor, type: 'x' as never }] }, TypeError],
    [{ metadata: {}, tensors: [{ ...tensor, name: '' }] }, GgmlError],
    [{ metadata: {}, tensors: [{ ...tensor, name: 'x'.repeat(64) }] }, GgmlError],
    [{ metadata: {}, tensors: [tensor, tensor] }, GgmlError],
    [{ metadata: { '': 1 }, tensors: [] }, GgmlError],
    [{ metadata: { 'general.alignment': 'x' }, tensors: [] }, GgmlError],
    [{ metadata: { a: 'x\0' }, tensors: [] }, TypeError],
    [{ metadata: { a: null as never }, tensors: [] }, TypeError],
    [{ metadata: { a: [1] as never }, tensors: [] }, TypeError],
    [{ metadata: { a: { kind: 'u8', value: 256 } }, tensors: [] }, RangeError],
    [{ metadata: { a: { kind: 'i32', value: 0.5 } }, tensors: [] }, RangeError],
    [{ metadata: { a: { kind: 'u128' as never, value: 1 } }, tensors: [] }, TypeError],
    [{ metadata: { a: 2n ** 64n }, tensors: [] }, RangeError],
  ];
  for (const [wrong, kind] of cases) await expect(writeGguf(ggml, target, wrong)).rejects.toBeInstanceOf(kind);
  await expect(writeGguf(ggml, file('no/such/folder.gguf'), content)).rejects.toThrow(/ENOENT/);
  expect(readdirSync(directory).filter((name) => name.startsWith('wrong'))).toEqual([]);
});
