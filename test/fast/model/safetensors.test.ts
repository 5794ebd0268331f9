import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CheckpointError } from '../../../src/model/errors.js';
import { fromFloat32, readSafetensors, toFloat32, writeSafetensors } from '../../../src/model/safetensors.js';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'safetensors-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const values = Float32Array.of(0, -0, 1, -2.5, 1e-7, 65504, 3.14159265, -1e-5);

function writeSample(path: string) {
  writeSafetensors(
    path,
    new Map([
      ['plain', fromFloat32(values, [2, 4])],
      ['half', fromFloat32(values, [8], 'F16')],
      ['brain', fromFloat32(values, [8], 'BF16')],
    ]),
    { format: 'pt' },
  );
}

test('reads back what it wrote, with halves within their precision', () => {
  const path = join(folder, 'a.safetensors');
  writeSample(path);
  const { tensors, metadata } = readSafetensors(path);
  expect(metadata).toEqual({ format: 'pt' });
  expect(tensors.get('plain')?.shape).toEqual([2, 4]);
  expect(toFloat32(tensors.get('plain')!)).toEqual(values);
  toFloat32(tensors.get('half')!).forEach((x, i) =>
    expect(Math.abs(x - values[i])).toBeLessThanOrEqual(Math.abs(values[i]) * 2 ** -11 + 2 ** -25),
  );
  toFloat32(tensors.get('brain')!).forEach((x, i) =>
    expect(Math.abs(x - values[i])).toBeLessThanOrEqual(Math.abs(values[i]) * 2 ** -8),
  );
});

test('rounds every half to itself', () => {
  const bits = Uint16Array.from({ length: 0x7c01 }, (_, i) => i);
  const floats = toFloat32({ dtype: 'F16', shape: [bits.length], bytes: new Uint8Array(bits.buffer) });
  const again = fromFloat32(floats, [bits.length], 'F16').bytes;
  expect(new Uint16Array(again.buffer)).toEqual(bits);
});

test('refuses a file cut at any byte with a CheckpointError', () => {
  const path = join(folder, 'b.safetensors');
  writeSample(path);
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 3) {
    writeFileSync(path, whole.subarray(0, length));
    expect(() => readSafetensors(path), `cut at ${length}`).toThrow(CheckpointError);
  }
});

test('refuses headers that lie', () => {
  const path = join(folder, 'c.safetensors');
  const write = (header: string, data = 16) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(path, Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]));
  };
  for (const entry of [
    '{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,16]}}',
    '{"x":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}',
    '{"x":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}',
    '{"x":{"dtype":"Q4","shape":[4],"data_offsets":[0,16]}}',
    '{"x":null}',
    '{"x":{"dtype":"F32","shape":[1e300,1e300],"data_offsets":[0,16]}}',
    '[]{',
    'null',
  ]) {
    write(entry);
    expect(() => readSafetensors(path), entry).toThrow(CheckpointError);
  }
});

test('leaves nothing behind when writing fails', () => {
  const target = join(folder, 'missing', 'd.safetensors');
  expect(() => writeSample(target)).toThrow(/ENOENT/);
  const wrong = new Map([['x', { dtype: 'F32' as const, shape: [3], bytes: new Uint8Array(8) }]]);
  expect(() => writeSafetensors(join(folder, 'd.safetensors'), wrong)).toThrow(RangeError);
  expect(readdirSync(folder).filter((name) => name.includes('part'))).toEqual([]);
});
