import {
  Field, Float16, Int32, List, RecordBatch, Schema, Struct, Table, Uint16, Utf8, makeBuilder, makeData, tableToIPC,
  type Data,
} from 'apache-arrow'; // prettier-ignore
import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fromFloat32, writeWhole } from '../model/safetensors.js';
import type { ShardInfo, ShardRow } from './shards.js';

type Number16Or32 = Float16 | Uint16 | Int32;

const list = <T extends Number16Or32>(type: T) => new List<T>(new Field('item', type, false));

const fieldsOf = ({ codebooks }: ShardInfo) => [
  new Field('id', new Utf8(), false),
  new Field('text', new Utf8(), false),
  new Field('tokens', list(new Int32()), false),
  new Field('frames', new Int32(), false),
  codebooks ? new Field('codes', list(new Uint16()), false) : new Field('latents', list(new Float16()), false),
  new Field('ends', list(new Int32()), true),
];

/** Writes rows as one shard, atomically; what a killed writer of it left is removed. */
export function writeShard(path: string, rows: readonly ShardRow[], info: ShardInfo): void {
  const speech = rows.map((row) => ('codes' in row ? row.codes : row.latents));
  const width = info.codebooks ?? info.latentDim;
  const columns: Data[] = [
    utf8Column(rows.map(({ id }) => id)),
    utf8Column(rows.map(({ text }) => text)),
    listColumn(new Int32(), rows.map(({ tokens }) => Int32Array.from(tokens))), // prettier-ignore
    makeData({ type: new Int32(), data: Int32Array.from(speech, ({ length }) => length / width) }),
    info.codebooks
      ? listColumn(new Uint16(), rows.map((row) => ('codes' in row ? row.codes : null))) // prettier-ignore
      : listColumn(new Float16(), rows.map((row) => ('codes' in row ? null : toHalves(row.latents)))), // prettier-ignore
    listColumn(new Int32(), rows.map(({ ends }) => ends && Int32Array.from(ends))), // prettier-ignore
  ];
  const metadata = new Map(Object.entries(info).map(([key, value]) => [key, String(value)]));
  const fields = fieldsOf(info);
  const schema = new Schema(fields, metadata);
  const struct = makeData({ type: new Struct(fields), length: rows.length, nullCount: 0, children: columns });
  for (const name of readdirSync(dirname(path)))
    if (name.startsWith(`${basename(path)}.`) && name.endsWith('.part')) rmSync(join(dirname(path), name));
  writeWhole(path, [tableToIPC(new Table(schema, new RecordBatch(schema, struct)), 'file')]);
}

function utf8Column(values: readonly string[]): Data<Utf8> {
  const builder = makeBuilder({ type: new Utf8() });
  for (const value of values) builder.append(value);
  return builder.finish().flush();
}

function listColumn<T extends Number16Or32>(
  type: T,
  rows: readonly (Int32Array | Uint16Array | null)[],
): Data<List<T>> {
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => (offsets[i + 1] = offsets[i] + (row?.length ?? 0)));
  const total = offsets[rows.length];
  const values = type instanceof Int32 ? new Int32Array(total) : new Uint16Array(total);
  const nullBitmap = new Uint8Array(Math.ceil(rows.length / 64) * 8);
  let nullCount = 0;
  rows.forEach((row, i) => {
    if (row) {
      values.set(row, offsets[i]);
      nullBitmap[i >> 3] |= 1 << (i & 7);
    } else nullCount++;
  });
  const child = makeData({ type: type as Int32, data: values as Int32Array }) as unknown as Data<T>;
  const base = { type: list(type), length: rows.length, valueOffsets: offsets, child };
  return makeData(nullCount > 0 ? { ...base, nullCount, nullBitmap } : { ...base, nullCount: 0 });
}

const toHalves = (values: Float32Array): Uint16Array => {
  const { bytes } = fromFloat32(values, [values.length], 'F16');
  return new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
};
