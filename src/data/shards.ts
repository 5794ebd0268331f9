/**
 * Shards of prepared speech: Arrow IPC files that other tools read, one row an utterance.
 *
 * `id`, `text` utf8; `tokens` list<int32>, specials included; `frames` int32; `latents` list<float16>, [T, D] flattened;
 * `ends` list<int32>, the end of each token in audio samples, null when it is not known. Schema metadata: `latentDim`,
 * `hopLength`, `sampleRate`, `frontEnd`.
 */
import {
  Field, Float16, Int32, List, RecordBatch, Schema, Struct, Table, Utf8, makeBuilder, makeData, tableFromIPC, tableToIPC,
  type Data, type Vector,
} from 'apache-arrow'; // prettier-ignore
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../model/errors.js';
import { fromFloat32, toFloat32, writeWhole } from '../model/safetensors.js';
import { spokenTokens, type Dataset, type Sample } from './sample.js';

/** What every shard of a data set must agree on. */
export interface ShardInfo {
  latentDim: number;
  /** Audio samples a frame. */
  hopLength: number;
  sampleRate: number;
  /** The text front end that made the tokens. */
  frontEnd: string;
}

/** A prepared utterance. Letters: L tokens, T frames, D channels. */
export interface ShardRow {
  id: string;
  text: string;
  /** [L] */
  tokens: ArrayLike<number>;
  /** [T, D] */
  latents: Float32Array;
  /** [L - 2]: end of each token in audio samples, specials left out; null when it is not known. */
  ends: ArrayLike<number> | null;
}

const list = <T extends Float16 | Int32>(type: T) => new List<T>(new Field('item', type, false));

const FIELDS = [
  new Field('id', new Utf8(), false),
  new Field('text', new Utf8(), false),
  new Field('tokens', list(new Int32()), false),
  new Field('frames', new Int32(), false),
  new Field('latents', list(new Float16()), false),
  new Field('ends', list(new Int32()), true),
];

/** Writes rows as one shard, atomically. */
export function writeShard(path: string, rows: readonly ShardRow[], info: ShardInfo): void {
  const columns: Data[] = [
    utf8Column(rows.map(({ id }) => id)),
    utf8Column(rows.map(({ text }) => text)),
    listColumn(new Int32(), rows.map(({ tokens }) => Int32Array.from(tokens))), // prettier-ignore
    makeData({ type: new Int32(), data: Int32Array.from(rows, (row) => row.latents.length / info.latentDim) }),
    listColumn(new Float16(), rows.map(({ latents }) => toHalves(latents))), // prettier-ignore
    listColumn(new Int32(), rows.map(({ ends }) => ends && Int32Array.from(ends))), // prettier-ignore
  ];
  const metadata = new Map(Object.entries(info).map(([key, value]) => [key, String(value)]));
  const schema = new Schema(FIELDS, metadata);
  const struct = makeData({ type: new Struct(FIELDS), length: rows.length, nullCount: 0, children: columns });
  writeWhole(path, [tableToIPC(new Table(schema, new RecordBatch(schema, struct)), 'file')]);
}

function utf8Column(values: readonly string[]): Data<Utf8> {
  const builder = makeBuilder({ type: new Utf8() });
  for (const value of values) builder.append(value);
  return builder.finish().flush();
}

function listColumn<T extends Float16 | Int32>(
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

/** All 65,536 halves as float32: a table look-up is the fastest way through millions of them. */
const HALF_TABLE = toFloat32({
  dtype: 'F16',
  shape: [65536],
  bytes: new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer),
});

interface Column {
  offsets: Int32Array;
  values: Int32Array | Uint16Array;
}

interface Shard {
  ids: Vector<Utf8>;
  texts: Vector<Utf8>;
  tokens: Column;
  latents: Column;
  ends: Column;
}

/**
 * Opens every `.arrow` file of a folder, in the order of their names, as one data set held in memory.
 * @throws {CheckpointError} for an empty folder, a damaged shard, or shards that do not belong together.
 */
export function openShards(folder: string): Dataset & { readonly info: ShardInfo } {
  const names = readdirSync(folder).filter((name) => name.endsWith('.arrow')).sort(); // prettier-ignore
  if (names.length === 0) throw new CheckpointError(`${folder}: no .arrow shards; run sled-tts prepare first`);
  const opened = names.map((name) => openShard(join(folder, name)));
  for (const { info, path } of opened)
    if (JSON.stringify(info) !== JSON.stringify(opened[0].info))
      throw new CheckpointError(
        `${path}: prepared with ${JSON.stringify(info)}, others with ${JSON.stringify(opened[0].info)}`,
      );
  return new ShardDataset(opened.map(({ shard }) => shard), opened[0].info); // prettier-ignore
}

function openShard(path: string): { path: string; shard: Shard; info: ShardInfo } {
  try {
    if (statSync(path).size === 0) throw new Error('the file is empty');
    const table = tableFromIPC(readFileSync(path));
    const text = (key: string) => table.schema.metadata.get(key) ?? '';
    const info = { latentDim: +text('latentDim'), hopLength: +text('hopLength'), sampleRate: +text('sampleRate'), frontEnd: text('frontEnd') }; // prettier-ignore
    if (!(info.latentDim > 0 && info.hopLength > 0)) throw new Error('no latentDim and hopLength in its metadata');
    const column = (name: string): Column => {
      const [data] = table.getChild(name)!.data;
      // Arrow pads its buffers: only length + 1 offsets count.
      return {
        offsets: (data.valueOffsets as Int32Array).subarray(0, data.length + 1),
        values: data.children[0].values as Int32Array | Uint16Array,
      };
    };
    const shard = { ids: table.getChild('id')!, texts: table.getChild('text')!, tokens: column('tokens'), latents: column('latents'), ends: column('ends') }; // prettier-ignore
    return { path, shard: shard as Shard, info };
  } catch (error) {
    throw new CheckpointError(`${path}: not a whole shard (${(error as Error).message}); prepare it again`);
  }
}

class ShardDataset implements Dataset {
  readonly length: number;
  readonly latentDim: number;
  readonly frames: Int32Array;
  /** First index of each shard, and the total. */
  private readonly starts: number[] = [0];

  constructor(
    private readonly shards: readonly Shard[],
    readonly info: ShardInfo,
  ) {
    this.latentDim = info.latentDim;
    for (const { latents } of shards)
      this.starts.push(this.starts[this.starts.length - 1] + latents.offsets.length - 1);
    this.length = this.starts[shards.length];
    this.frames = new Int32Array(this.length);
    let i = 0;
    for (const { latents } of shards)
      for (let row = 1; row < latents.offsets.length; row++)
        this.frames[i++] = (latents.offsets[row] - latents.offsets[row - 1]) / info.latentDim;
  }

  sample(index: number): Sample {
    const s = this.starts.findIndex((start, i) => start <= index && index < this.starts[i + 1]);
    const [shard, row] = [this.shards[s], index - this.starts[s]];
    const slice = ({ offsets, values }: Column) => values.subarray(offsets[row], offsets[row + 1]);
    const latents = slice(shard.latents);
    const ends = slice(shard.ends);
    const frames = this.frames[index];
    return {
      id: shard.ids.get(row)!,
      text: shard.texts.get(row)!,
      tokens: slice(shard.tokens) as Int32Array,
      frames,
      copyLatents: (out, offset) => {
        for (let i = 0; i < latents.length; i++) out[offset + i] = HALF_TABLE[latents[i]];
      },
      spoken: ends.length > 0 ? spokenTokens(ends, frames, this.info.hopLength) : null,
    };
  }
}
