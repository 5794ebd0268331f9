import { writeWhole } from './safetensors.js';

/** The header ends at a multiple of this, as NumPy aligns it. */
const ALIGNMENT = 64;

/** Writes float32 values of a shape as NumPy's `.npy`, version 1.0: whole or not at all. */
export function writeNpy(path: string, values: Float32Array, shape: readonly number[]): void {
  const expected = shape.reduce((a, b) => a * b, 1);
  if (values.length !== expected)
    throw new RangeError(`writeNpy: [${shape}] needs ${expected} values, got ${values.length}`);
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dimensions}), }`;
  const prefix = 10; // magic, version, length
  const length = Math.ceil((prefix + header.length + 1) / ALIGNMENT) * ALIGNMENT - prefix;
  const start = Buffer.alloc(prefix);
  start.write('\x93NUMPY\x01\x00', 'latin1');
  start.writeUInt16LE(length, 8);
  const text = Buffer.from(`${header.padEnd(length - 1)}\n`, 'latin1');
  writeWhole(path, [start, text, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
}
