import { open, type FileHandle } from 'node:fs/promises';
import koffi from 'koffi';
import type { Backend } from '../backend.js';
import { GgmlError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { FileMapping } from './file-mapping.js';
import type { Ggml } from '../ggml.js';
import type { Native, Pointer } from '../native.js';
import { TENSOR_TYPES } from '../tensor-type.js';
import { checkHeader, HeaderIncomplete, type GgufHeader } from './header.js';
import { ARRAY_CLASSES, VALUE_KINDS, type GgufTensor, type GgufValue, type NumericKind } from './types.js';

/** ggml's TENSOR_ALIGNMENT on a CPU. */
const ALIGNMENT = 32;
const FIRST_READ_BYTES = 1 << 16;
// The largest vocabularies take some ten megabytes.
const MAX_HEADER_BYTES = 1 << 28;

/**
 * An open GGUF file: its metadata and tensors are known, tensor data is read when asked for. Close it; what was loaded from it
 * stays. A mapped file that another program makes shorter ends this process (SIGBUS), as any mapped file does.
 */
export class GgufFile {
  /** The file in memory; undefined where the system does not map files. */
  readonly mapping: FileMapping | undefined;
  readonly #file: FileHandle;
  #closed = false;

  /** Made by openGguf(). */
  constructor(
    native: Native,
    file: FileHandle,
    readonly path: string,
    readonly metadata: ReadonlyMap<string, GgufValue>,
    readonly tensors: ReadonlyMap<string, GgufTensor>,
  ) {
    this.#file = file;
    const end = Math.max(0, ...[...tensors.values()].map(({ position, bytes }) => position + bytes));
    this.mapping = FileMapping.of(native, file.fd, end);
  }

  /** The entry of a tensor's name; a GgmlError where there is none, or one of another type or other dimensions. */
  expect(tensor: Tensor): GgufTensor {
    const found = this.tensors.get(tensor.name);
    if (!found) throw new GgmlError(`${this.path}: no tensor "${tensor.name}"`);
    const ne = [0, 1, 2, 3].map((i) => found.ne[i] ?? 1);
    if (found.type !== tensor.type || ne.join() !== tensor.ne.join()) {
      throw new GgmlError(`${this.path}: expected ${tensor.describe()}, got ${found.type}[${ne.join(', ')}]`);
    }
    return found;
  }

  /** True when a backend can compute with a tensor where it lies in the file. */
  isMappable(backend: Backend, tensor: Tensor): boolean {
    const aligned = this.expect(tensor).position % ALIGNMENT === 0;
    return this.mapping !== undefined && backend.device.kind === 'cpu' && aligned;
  }

  /** Copies a tensor's bytes into its memory, on a worker thread: interleaving takes a while. */
  async upload(tensor: Tensor): Promise<void> {
    const { position, bytes } = this.expect(tensor);
    const source = this.mapping ? this.mapping.pointer + BigInt(position) : await this.read(tensor.name);
    await tensor.write(source, 0, bytes);
  }

  /** The raw bytes of a tensor, as Tensor.set takes them; GgmlError when there is none of that name. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new GgmlError(`${this.path}: no tensor "${name}"`);
    const bytes = new Uint8Array(tensor.bytes);
    if (!(await fill(this.#file, bytes, tensor.position))) {
      throw new GgmlError(`${this.path}: the file ends inside "${name}"; was it changed while being read?`);
    }
    return bytes;
  }

  /** Closes the file; metadata stays readable. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.mapping?.releaseAsync();
    await this.#file.close();
  }
}

/** Opens a GGUF file. It may come from anywhere: the header is checked before ggml parses it. GgmlError says what is wrong. */
export async function openGguf(ggml: Ggml, path: string): Promise<GgufFile> {
  const file = await open(path, 'r');
  try {
    const { header, bytes } = await readHeader(file);
    const { metadata, tensors } = parse(ggml.native, bytes, header);
    return new GgufFile(ggml.native, file, path, metadata, tensors);
  } catch (error) {
    await file.close();
    if (error instanceof GgmlError) throw new GgmlError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

async function readHeader(file: FileHandle): Promise<{ header: GgufHeader; bytes: Uint8Array }> {
  const { size } = await file.stat();
  for (let wanted = FIRST_READ_BYTES; ; wanted *= 4) {
    const bytes = new Uint8Array(Math.min(wanted, size));
    if (!(await fill(file, bytes, 0))) throw new GgmlError('GGUF: the file became shorter while being read');
    try {
      const header = checkHeader(bytes, size);
      // Exactly what was checked goes to ggml, not the file again.
      if (header.dataStart <= bytes.byteLength) return { header, bytes: bytes.subarray(0, header.dataStart) };
    } catch (error) {
      if (!(error instanceof HeaderIncomplete)) throw error;
    }
    if (wanted >= MAX_HEADER_BYTES || bytes.byteLength >= size) {
      throw new GgmlError(`GGUF: expected a header of at most ${MAX_HEADER_BYTES} bytes inside the file`);
    }
  }
}

/** Reads all of `target`; false when the file ends before. */
async function fill(file: FileHandle, target: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < target.byteLength;) {
    const { bytesRead } = await file.read(target, done, target.byteLength - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

function parse(native: Native, bytes: Uint8Array, header: GgufHeader): Pick<GgufFile, 'metadata' | 'tensors'> {
  const { gguf } = native;
  const pointer = native.parseGguf(bytes);
  if (!pointer) throw new GgmlError('GGUF: ggml does not accept this header');
  try {
    const metadata = new Map<string, GgufValue>();
    for (let i = 0; i < gguf.get_n_kv(pointer); i++)
      metadata.set(gguf.get_key(pointer, i), valueAt(native, pointer, i));
    const agrees = header.tensors.every(
      (tensor, i) =>
        gguf.get_tensor_name(pointer, i) === tensor.name &&
        gguf.get_tensor_type(pointer, i) === TENSOR_TYPES[tensor.type].id &&
        gguf.get_tensor_size(pointer, i) === tensor.bytes &&
        gguf.get_data_offset(pointer) + gguf.get_tensor_offset(pointer, i) === tensor.position,
    );
    if (!agrees)
      throw new GgmlError('GGUF: ggml reads this header otherwise than the checks did; please report the file');
    return { metadata, tensors: new Map(header.tensors.map((tensor) => [tensor.name, tensor])) };
  } finally {
    gguf.free(pointer);
  }
}

function valueAt(native: Native, pointer: Pointer, index: number): GgufValue {
  const { gguf } = native;
  const [kind] = VALUE_KINDS[gguf.get_kv_type(pointer, index)];
  if (kind === 'string') return gguf.get_val_str(pointer, index);
  if (kind === 'array') return arrayAt(native, pointer, index);
  const data = gguf.get_val_data(pointer, index);
  if (kind === 'bool') return copyOf('u8', data, 1)[0] !== 0;
  const [value] = copyOf(kind, data, 1);
  const isSafe = typeof value === 'number' || Number.isSafeInteger(Number(value));
  return isSafe ? Number(value) : value;
}

function arrayAt(native: Native, pointer: Pointer, index: number): GgufValue {
  const { gguf } = native;
  const [kind] = VALUE_KINDS[gguf.get_arr_type(pointer, index)];
  const count = gguf.get_arr_n(pointer, index);
  if (kind === 'string') return Array.from({ length: count }, (_, i) => gguf.get_arr_str(pointer, index, i));
  const data = count ? gguf.get_arr_data(pointer, index) : null;
  return copyOf(kind === 'bool' || kind === 'array' ? 'u8' : kind, data, count);
}

function copyOf(
  kind: NumericKind,
  data: Pointer | null,
  count: number,
): InstanceType<(typeof ARRAY_CLASSES)[NumericKind]> {
  const array = new ARRAY_CLASSES[kind](count);
  if (data && count) new Uint8Array(array.buffer).set(new Uint8Array(koffi.view(data, array.byteLength)));
  return array;
}
