import koffi from 'koffi';
import type { Context } from './context.js';
import { GgmlError, ShapeError } from './errors.js';
import type { NativeOwner } from './lifetime.js';
import type { Memory, Pointer } from './native.js';
import { encodeFor, encodeForAsync, decodeFrom, type TensorData, type TensorValues } from './tensor-data.js';
import type { Recipe } from './recipe.js';
import { rowBytes, TENSOR_TYPES, type TensorType } from './tensor-type.js';
import { onWorker } from './worker.js';

/** Four dimensions in ggml's order: `ne[0]` is the one whose elements are neighbours in memory. */
export type Dimensions = readonly [number, number, number, number];

/** What holds a tensor's bytes: a buffer of weights or a graph's memory. */
export interface TensorStorage {
  readonly owner: NativeOwner;
  /** False for interleaved weights: they are written whole and never read back. */
  readonly plain: boolean;
  /** True for weights that lie in a mapped file. */
  readonly readOnly: boolean;
  /** True where the bytes lie in this process's own memory, and can be reached without a native call. */
  readonly inProcess?: boolean;
  readonly layout?: WeightLayout;
}

/** A layout of our own for weights, which ggml knows nothing of. */
export interface WeightLayout {
  /** Writes a whole matrix [K, N] from bytes as ggml stores its type. */
  pack(weight: Tensor, bytes: Memory): void;
  /** pack() on a worker thread; `bytes` must not change until it resolves. */
  packAsync(weight: Tensor, bytes: Memory): Promise<void>;
}

/** Offset of `ne` in struct ggml_tensor; `nb` follows. openGgml verifies it on a probe. */
export const NE_OFFSET = 16;

/** What a tensor is before ggml has made it. */
export interface TensorShape {
  readonly type: TensorType;
  readonly ne: Dimensions;
  /** Strides in bytes; without gaps where they are left out. */
  readonly nb?: Dimensions;
  /** The tensor into whose memory it looks. */
  readonly viewOf?: Tensor;
  /** Byte offset in that one's root. */
  readonly offset?: number;
}

/**
 * A tensor of a context: a weight, an input, or the result of an operation. ggml makes it when it is given memory, not before: until then
 * it is a description.
 * Data crosses as typed arrays whose fastest index is `ne[0]`: a row-major array of shape [..., ne[1], ne[0]].
 */
export class Tensor {
  readonly ne: Dimensions;
  /** Strides in bytes. */
  readonly nb: Dimensions;
  /** The tensor whose memory this one looks into; itself when it is no view. */
  readonly root: Tensor;
  name = '';
  isInput = false;
  isOutput = false;
  /** Set on roots only. */
  storage: TensorStorage | undefined;
  /** Integers stored in this (root) tensor must be below it, because an operation uses them as row numbers. */
  indexLimit = Infinity;
  /** Largest row number written so far. */
  indexMaximum = 0;
  readonly type: TensorType;
  /** Byte offset in `root`. */
  readonly offset: number;
  /** Where its bytes are, once known; ggml is asked else. */
  address: Pointer | undefined;
  #pointer: Pointer | undefined;
  #isContiguous: boolean | undefined;
  /** Of a root in this process's memory. Whoever touches them has made sure that their owner is alive. */
  #memory: Uint8Array | undefined;

  /** Made by Context and the operations only. */
  constructor(
    readonly context: Context,
    readonly recipe: Recipe,
    readonly op: string,
    readonly sources: readonly Tensor[],
    { type, ne, nb = stridesOf(type, ne), viewOf, offset = 0 }: TensorShape,
  ) {
    this.root = viewOf?.root ?? this;
    this.type = type;
    this.ne = ne;
    this.nb = nb;
    this.offset = offset;
  }

  /** ggml's tensor, which is made when it is first asked for. */
  get pointer(): Pointer {
    return (this.#pointer ??= this.context.makeNow(this));
  }

  get isMade(): boolean {
    return this.#pointer !== undefined;
  }

  /** Takes the tensor that ggml made of its recipe. */
  made(pointer: Pointer): void {
    this.#pointer = pointer;
  }

  get elements(): number {
    return this.ne[0] * this.ne[1] * this.ne[2] * this.ne[3];
  }

  /** Bytes of the elements without gaps. */
  get bytes(): number {
    const { blockSize, blockBytes } = TENSOR_TYPES[this.type];
    return (this.elements / blockSize) * blockBytes;
  }

  get isView(): boolean {
    return this.root !== this;
  }

  /** True when elements lie without gaps in order of `ne`. */
  get isContiguous(): boolean {
    return (this.#isContiguous ??= contiguousFrom(this, 0));
  }

  /** Throws a GgmlError when the tensor's context, or that of the tensor it looks into, was freed. */
  assertAlive(where: string): void {
    this.context.assertAlive(where);
    if (this.root !== this) this.root.context.assertAlive(where);
  }

  /** Names the tensor in errors, dumps and GGUF files (at most 63 bytes). */
  named(name: string): this {
    if (typeof name !== 'string' || Buffer.byteLength(name) > 63 || name.includes('\0')) {
      throw new RangeError(`named: expected a name of at most 63 bytes, got ${JSON.stringify(name)}`);
    }
    this.assertAlive('named');
    this.name = name;
    return this;
  }

  /** Marks a result whose values are to be read after a computation; call it before the graph is allocated. */
  output(): this {
    this.assertAlive('output');
    const { root } = this;
    if (root.isOutput || root.op === 'none') return this;
    if (root.storage) {
      throw new GgmlError(`output: ${this.describe()} belongs to an allocated graph; mark outputs before allocate()`);
    }
    root.isOutput = true;
    if (root.isMade) this.context.native.ggml.set_output(root.pointer);
    return this;
  }

  /**
   * Copies `data` into the tensor: all of it, or with `offset` (in elements) a part. Float32Array for float types (converted) and quantized ones
   * (quantized), Int32Array for i32, BigInt64Array for i64, Uint16Array for f16 and bf16 bits, or raw bytes of the type.
   */
  set(data: TensorData, offset?: number): void {
    const storage = this.#writable();
    const bytes = encodeFor(this, data, offset);
    const start = this.#startOf(bytes, storage, offset);
    if (storage.layout) storage.layout.pack(this, bytes);
    else if (storage.inProcess) this.root.#bytesInProcess().set(bytesOf(bytes), start);
    else this.context.native.ggml.backend_tensor_set(this.root.pointer, bytes, start, bytes.byteLength);
  }

  #bytesInProcess(): Uint8Array {
    this.address ??= this.context.native.ggml.get_data(this.pointer) as Pointer;
    this.#memory ??= new Uint8Array(koffi.view(this.address, this.bytes));
    return this.#memory;
  }

  /** set() on a worker thread, for large weights: interleaving takes a while. `data` must not change until it resolves. */
  async setAsync(data: TensorData, offset?: number): Promise<void> {
    const storage = this.#writable();
    storage.owner.users++;
    try {
      const bytes = await encodeForAsync(this, data, offset);
      const start = this.#startOf(bytes, storage, offset);
      await this.root.write(bytes, start, bytes.byteLength);
    } finally {
      storage.owner.users--;
    }
  }

  /** Writes bytes of the type on a worker thread. For setAsync() and files, which have checked them. */
  async write(bytes: Memory, start: number, count: number): Promise<void> {
    const layout = this.storage?.layout;
    if (layout) await layout.packAsync(this, bytes);
    else await onWorker(this.context.native.ggml.backend_tensor_set, this.pointer, bytes, start, count);
  }

  /** The byte of `root` that a write begins at. */
  #startOf(bytes: ArrayBufferView, { plain }: TensorStorage, offset = 0): number {
    const { blockSize, blockBytes } = TENSOR_TYPES[this.type];
    const start = (offset / blockSize) * blockBytes;
    if (!plain && (this.isView || start !== 0 || bytes.byteLength !== this.bytes)) {
      throw new GgmlError(`set: ${this.describe()} lies in an interleaved buffer, which is written whole only`);
    }
    return this.offset + start;
  }

  /** The values: Float32Array for float and quantized types, else the integer array of the type. */
  get(): TensorValues {
    return decodeFrom(this, this.getBytes());
  }

  /** Reads an f32 tensor into an existing array of the same length (no allocation). */
  getInto(target: Float32Array): void {
    this.#readable('getInto');
    if (this.type !== 'f32' || !(target instanceof Float32Array) || target.length !== this.elements) {
      throw new ShapeError(`getInto: expected a Float32Array of ${this.elements} for ${this.describe()}`);
    }
    this.#copyInto(target);
  }

  /** The raw bytes, as ggml stores the type. */
  getBytes(): Uint8Array<ArrayBuffer> {
    this.#readable('get');
    const bytes = new Uint8Array(this.bytes);
    this.#copyInto(bytes);
    return bytes;
  }

  #copyInto(target: ArrayBufferView): void {
    const { root, offset } = this;
    if (!root.storage?.inProcess) {
      this.context.native.ggml.backend_tensor_get(root.pointer, target, offset, target.byteLength);
      return;
    }
    bytesOf(target).set(root.#bytesInProcess().subarray(offset, offset + target.byteLength));
  }

  /** `name f32[ne0, ne1, ne2, ne3] = op`, for messages. */
  describe(): string {
    return `${this.name || this.op} ${this.type}[${this.ne.join(', ')}]`;
  }

  #writable(): TensorStorage {
    const storage = this.#stored('set');
    if (this.root.op !== 'none') throw new GgmlError(`set: ${this.describe()} is computed; set inputs or weights`);
    storage.owner.assertIdle('set');
    if (storage.readOnly) throw new GgmlError(`set: ${this.describe()} lies in a mapped file, which is not written to`);
    return storage;
  }

  #readable(where: string): void {
    const storage = this.#stored(where);
    if (!storage.plain) {
      throw new GgmlError(`${where}: ${this.describe()} lies in an interleaved buffer, which cannot be read back`);
    }
    if (this.root.op !== 'none' && !this.root.isOutput) {
      throw new GgmlError(
        `${where}: ${this.describe()} is no output, its memory is reused; call output() before allocate()`,
      );
    }
    storage.owner.assertIdle(where);
  }

  #stored(where: string): TensorStorage {
    this.assertAlive(where);
    const { storage } = this.root;
    if (!storage) {
      throw new GgmlError(
        `${where}: ${this.describe()} has no memory yet; allocate its context (weights) or its graph (inputs, results)`,
      );
    }
    storage.owner.assertAlive(where);
    if (!this.isContiguous) {
      throw new ShapeError(`${where}: ${this.describe()} is not contiguous; take cont() of it in the graph`);
    }
    return storage;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);

/** Of elements without gaps. */
function stridesOf(type: TensorType, [n0, n1, n2]: Dimensions): Dimensions {
  const row = rowBytes(type, n0);
  return [TENSOR_TYPES[type].blockBytes, row, row * n1, row * n1 * n2];
}

/** True when dimensions above `first` follow without gaps (ggml_is_contiguous_0, _1, _2). */
export function contiguousFrom(tensor: Tensor, first: number): boolean {
  const { blockSize, blockBytes } = TENSOR_TYPES[tensor.type];
  const { ne, nb } = tensor;
  if (ne[0] !== blockSize && nb[0] !== blockBytes) return false;
  let next = (blockBytes * ne[0]) / blockSize;
  for (let i = 1; i < 4; i++) {
    if (i > first) {
      if (ne[i] !== 1 && nb[i] !== next) return false;
      next *= ne[i];
    } else {
      next = ne[i] * nb[i];
    }
  }
  return true;
}
