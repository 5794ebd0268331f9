import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CheckpointError } from '../model/errors.js';
import { readSafetensors, toFloat32 } from '../model/safetensors.js';
import { readArrowLayout, readBytes, type ArrowLayout, type ColumnRegions } from './arrow-file.js';
import { spokenTokens, type Dataset, type Sample } from './sample.js';
import { CODEBOOKS_FILE, type ShardInfo } from './shards.js';

export interface OpenShardsOptions {
  /** Utterances whose tokens and frames are more than this are left out. */
  maxPositions?: number;
}

/** Prepared utterances on disk; of each only its number of frames is held in memory. */
export interface ShardDataset extends Dataset {
  readonly info: ShardInfo;
  /** Utterances left out because they are too long. */
  readonly dropped: number;
}

interface Shard {
  path: string;
  layout: ArrowLayout;
}

/** Files that are open at once; an operating system allows a process about a thousand. */
const MAX_OPEN_FILES = 128;

/** All 65,536 halves as float32: a table look-up is the fastest way through millions of them. */
const HALF_TABLE = toFloat32({
  dtype: 'F16',
  shape: [65536],
  bytes: new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer),
});

/**
 * Opens every `.arrow` file of a folder, in the order of their names, as one data set.
 * @throws {CheckpointError} for an empty folder, a damaged shard, or shards that do not belong together.
 */
export function openShards(folder: string, { maxPositions = Infinity }: OpenShardsOptions = {}): ShardDataset {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.arrow')).sort() : []; // prettier-ignore
  if (names.length === 0) throw new CheckpointError(`${folder}: no .arrow shards; run sled-tts prepare first`);
  const shards = names.map((name) => openShard(join(folder, name)));
  const infos = shards.map(infoOf);
  infos.forEach((info, i) => {
    if (JSON.stringify(info) !== JSON.stringify(infos[0]))
      throw new CheckpointError(
        `${shards[i].path}: prepared with ${JSON.stringify(info)}, others with ${JSON.stringify(infos[0])}`,
      );
  });
  const rows = shards.map((shard) => rowsOf(shard, maxPositions));
  const origin = { folder: resolve(folder), maxPositions };
  const dataset = new ShardFiles(shards, rows, infos[0], codebooksOf(folder, infos[0]), origin);
  if (dataset.length === 0) throw new CheckpointError(`${folder}: no utterance of at most ${maxPositions} positions`);
  return dataset;
}

function openShard(path: string): Shard {
  return whole(path, () => {
    const layout = readArrowLayout(path);
    for (const name of ['id', 'text', 'tokens', 'frames', 'ends'])
      if (!layout.columns.has(name)) throw new Error(`no column ${name}`);
    if (!layout.columns.has('codes') && !layout.columns.has('latents')) throw new Error('neither codes nor latents');
    return { path, layout };
  });
}

function whole<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new CheckpointError(`${path}: not a whole shard (${(error as Error).message}); prepare it again`, {
      cause: error,
    });
  }
}

function infoOf({ path, layout }: Shard): ShardInfo {
  const text = (key: string) => layout.metadata.get(key) ?? '';
  const info = { latentDim: +text('latentDim'), hopLength: +text('hopLength'), sampleRate: +text('sampleRate'), frontEnd: text('frontEnd') }; // prettier-ignore
  if (!(info.latentDim > 0 && info.hopLength > 0))
    throw new CheckpointError(`${path}: no latentDim and hopLength in its metadata; prepare it again`);
  return layout.columns.has('codes') ? { ...info, codebooks: +text('codebooks') } : info;
}

/** Rows that are short enough, and the frames of each. */
function rowsOf({ path, layout }: Shard, maxPositions: number): { rows: Uint32Array; frames: Int32Array } {
  return whole(path, () => {
    const file = openSync(path, 'r');
    try {
      const int32s = (start: number, count: number) => new Int32Array(readBytes(file, start, 4 * count).buffer);
      const { columns, rows: count } = layout;
      const frames = int32s(regions(columns, 'frames').values.start, count);
      const tokens = int32s(regions(columns, 'tokens').offsets.start, count + 1);
      const rows = Uint32Array.from(frames.keys()).filter(
        (row) => tokens[row + 1] - tokens[row] + frames[row] <= maxPositions,
      );
      return { rows, frames: Int32Array.from(rows, (row) => frames[row]) };
    } finally {
      closeSync(file);
    }
  });
}

const regions = (columns: ArrowLayout['columns'], name: string): ColumnRegions => {
  const found = columns.get(name);
  if (!found) throw new CheckpointError(`no column ${name}`);
  return found;
};

/** [K, V, D], flat, of shards that hold codes. */
function codebooksOf(folder: string, { codebooks, latentDim }: ShardInfo): Float32Array | null {
  if (!codebooks) return null;
  const path = join(folder, CODEBOOKS_FILE);
  const array = readSafetensors(path).tensors.get('codebooks');
  if (!array || array.shape[0] !== codebooks || array.shape[2] !== latentDim)
    throw new CheckpointError(
      `${path}: expected codebooks [${codebooks}, V, ${latentDim}], got [${array?.shape ?? ''}]`,
    );
  return toFloat32(array);
}

class ShardFiles implements ShardDataset {
  readonly length: number;
  readonly latentDim: number;
  readonly frames: Int32Array;
  readonly dropped: number;
  /** First index of each shard, and the total. */
  private readonly starts: number[] = [0];
  private readonly open = new Map<string, number>();

  constructor(
    private readonly shards: readonly Shard[],
    private readonly kept: readonly { rows: Uint32Array; frames: Int32Array }[],
    readonly info: ShardInfo,
    private readonly codebooks: Float32Array | null,
    readonly origin: { folder: string; maxPositions: number },
  ) {
    this.latentDim = info.latentDim;
    for (const { rows } of kept) this.starts.push(this.starts[this.starts.length - 1] + rows.length);
    this.length = this.starts[shards.length];
    this.dropped = shards.reduce((sum, { layout }) => sum + layout.rows, -this.length);
    this.frames = new Int32Array(this.length);
    kept.forEach(({ frames }, s) => this.frames.set(frames, this.starts[s]));
  }

  sample(index: number): Sample {
    if (!(index >= 0 && index < this.length)) throw new RangeError(`sample: expected 0 to ${this.length - 1}, got ${index}`); // prettier-ignore
    const s = this.shardOf(index);
    const { path, layout } = this.shards[s];
    return whole(path, () => {
      const row = this.kept[s].rows[index - this.starts[s]];
      const file = this.fileOf(path);
      const bytes = (name: string, width: number) => readRow(file, regions(layout.columns, name), row, width);
      const text = (name: string) => Buffer.from(bytes(name, 1).buffer).toString('utf8');
      const frames = this.frames[index];
      const ends = new Int32Array(bytes('ends', 4).buffer);
      const speech = new Uint16Array(bytes(this.codebooks ? 'codes' : 'latents', 2).buffer);
      return {
        id: text('id'),
        text: text('text'),
        tokens: new Int32Array(bytes('tokens', 4).buffer),
        frames,
        copyLatents: (out, offset) => whole(path, () => this.writeLatents(speech, out, offset)),
        spoken: ends.length > 0 ? spokenTokens(ends, frames, this.info.hopLength) : null,
      };
    });
  }

  /** Halves [T, D] or codes [T, K] to latents [T, D]. */
  private writeLatents(speech: Uint16Array, out: Float32Array, offset: number): void {
    const { codebooks, latentDim: D } = this;
    const K = this.info.codebooks ?? 0;
    if (!codebooks) {
      for (let i = 0; i < speech.length; i++) out[offset + i] = HALF_TABLE[speech[i]];
      return;
    }
    const V = codebooks.length / K / D;
    for (let i = 0; i < speech.length; i++) {
      if (speech[i] >= V) throw new RangeError(`expected codes below ${V}, got ${speech[i]}`);
      const [to, from] = [offset + Math.floor(i / K) * D, ((i % K) * V + speech[i]) * D];
      if (i % K === 0) for (let d = 0; d < D; d++) out[to + d] = codebooks[from + d];
      else for (let d = 0; d < D; d++) out[to + d] += codebooks[from + d];
    }
  }

  /** The last shard that begins at or before the index, among those with rows. */
  private shardOf(index: number): number {
    let [low, high] = [0, this.shards.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private fileOf(path: string): number {
    const known = this.open.get(path);
    if (known !== undefined) return known;
    for (const [oldest, file] of this.open) {
      if (this.open.size < MAX_OPEN_FILES) break;
      closeSync(file);
      this.open.delete(oldest);
    }
    const file = openSync(path, 'r');
    this.open.set(path, file);
    return file;
  }
}

function readRow(file: number, { offsets, values }: ColumnRegions, row: number, width: number) {
  const [from, to] = new Int32Array(readBytes(file, offsets.start + 4 * row, 8).buffer);
  return readBytes(file, values.start + from * width, (to - from) * width);
}
