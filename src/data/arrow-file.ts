import { Message, RecordBatchReader, type Schema } from 'apache-arrow';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes of a file. */
export interface Region {
  start: number;
  length: number;
}

/** Where a column of variable length lies: offsets int32 [rows + 1], then what they point into. */
export interface ColumnRegions {
  offsets: Region;
  values: Region;
}

/** The layout of an Arrow IPC file of one record batch; the values themselves are not read. */
export interface ArrowLayout {
  metadata: ReadonlyMap<string, string>;
  rows: number;
  columns: ReadonlyMap<string, ColumnRegions>;
}

const MAGIC = 'ARROW1';
const FIRST_MESSAGE = 8;
const PREFIX_BYTES = 8;
/** Schemas and batch headers of a few columns are below this; more is a damaged length. */
const MAX_METADATA_BYTES = 2 ** 22;
/** Buffers that a column of a type has: validity, offsets, values (of a list: the items' validity before them). */
const BUFFERS: Record<string, { count: number; values: number }> = {
  Utf8: { count: 3, values: 2 },
  List: { count: 4, values: 3 },
  Int: { count: 2, values: 1 },
};

/** Reads the layout of a file. @throws {Error} for what is not a whole Arrow file of one uncompressed record batch */
export function readArrowLayout(path: string): ArrowLayout {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const magic = (at: number) => Buffer.from(readBytes(file, at, MAGIC.length)).toString('latin1');
    if (size < 2 * FIRST_MESSAGE || magic(0) !== MAGIC || magic(size - MAGIC.length) !== MAGIC)
      throw new Error('it does not begin and end as an Arrow file');
    const schema = readSchema(file, size);
    const { message, body } = firstBatch(file);
    const { length, buffers, compression } = message.header();
    if (compression) throw new Error('it is compressed; write it without');
    if (body + message.bodyLength > size) throw new Error('it ends inside its record batch');
    return { metadata: schema.metadata, rows: length, columns: columnsOf(schema, buffers, body) };
  } finally {
    closeSync(file);
  }
}

/** The schema stands in the file's footer; a file of nothing else is what Arrow's reader is given. */
function readSchema(file: number, size: number): Schema {
  const tail = size - MAGIC.length - 4;
  const length = new DataView(readBytes(file, tail, 4).buffer).getInt32(0, true);
  if (length <= 0 || length > Math.min(MAX_METADATA_BYTES, tail - FIRST_MESSAGE)) throw new Error('no footer');
  const footer = readBytes(file, tail - length, size - tail + length);
  return RecordBatchReader.from(Buffer.concat([Buffer.from(`${MAGIC}\0\0`), footer])).open().schema;
}

/** The first message that is a record batch: some writers put the schema before it. */
function firstBatch(file: number) {
  const { message, body } = readMessage(file, FIRST_MESSAGE);
  const next = message.isSchema() ? readMessage(file, body) : { message, body };
  if (!next.message.isRecordBatch()) throw new Error('no record batch');
  return { message: next.message, body: next.body };
}

function readMessage(file: number, at: number) {
  const prefix = new DataView(readBytes(file, at, PREFIX_BYTES).buffer);
  const length = prefix.getInt32(4, true);
  if (prefix.getUint32(0, true) !== 0xffffffff || length <= 0 || length > MAX_METADATA_BYTES)
    throw new Error(`no message at byte ${at}`);
  const message = Message.decode(readBytes(file, at + PREFIX_BYTES, length));
  return { message, body: at + PREFIX_BYTES + length };
}

function columnsOf(
  schema: Schema,
  buffers: readonly { offset: number; length: number }[],
  body: number,
): Map<string, ColumnRegions> {
  const region = ({ offset, length }: { offset: number; length: number }): Region => ({ start: body + offset, length });
  const columns = new Map<string, ColumnRegions>();
  let at = 0;
  for (const { name, type } of schema.fields) {
    const kind = BUFFERS[String(type).replace(/^(List|Int|Utf8).*/, '$1')];
    if (!kind) throw new Error(`column ${name} has the type ${type}`);
    columns.set(name, { offsets: region(buffers[at + 1]), values: region(buffers[at + kind.values]) });
    at += kind.count;
  }
  return columns;
}

/** Reads exactly `count` bytes. @throws {Error} where the file ends before */
export function readBytes(file: number, start: number, count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count;) {
    const got = readSync(file, bytes, done, count - done, start + done);
    if (got === 0) throw new Error(`it ends at byte ${start + done}`);
    done += got;
  }
  return bytes;
}
