import koffi from 'koffi';
import { Backend } from './backend.js';
import { allocateTensors, allocateTensorsAsync, mapTensors, type BufferType, type WeightBuffer } from './buffer.js';
import { GgmlError, ShapeError } from './errors.js';
import type { GgufFile } from './gguf/read.js';
import { unlike } from './graph-assembler.js';
import { Graph } from './graph.js';
import { countTensors, NativeOwner } from './lifetime.js';
import type { Native, Pointer } from './native.js';
import { bindOps, type Ops } from './ops/index.js';
import type { Maker, MakerArguments } from './recipe.js';
import { NE_OFFSET, Tensor, type Dimensions, type TensorShape } from './tensor.js';
import { typeInfo, type TensorType } from './tensor-type.js';

// Several kernels count elements in 32 bits.
const MAX_ELEMENTS = 2 ** 31 - 1;
const FIRST_CHUNK_TENSORS = 128;
const MAX_CHUNK_TENSORS = 4096;

export interface AllocateOptions {
  /**
   * True puts matrices that the backend can interleave (CPU_ROWS, CPU_REPACK: faster products) there, and the rest
   * into plain memory; a function says which to try. Such weights are for mulMat's first operand only, and cannot be read back.
   */
  readonly interleave?: boolean | ((weight: Tensor) => boolean);
  /** False leaves what was in the memory, for weights that are all set right after; zeroing a large buffer takes long. */
  readonly zero?: boolean;
}

/**
 * Holds tensors: their shapes, and after allocate() the memory of its weights. It grows as tensors are made.
 * Weights and graphs usually have a context each, since free() ends everything that a context made.
 */
export class Context extends NativeOwner {
  /** The operations of this context, to be taken apart: `const { mulMat, add } = context.ops`. */
  readonly ops: Ops;
  readonly #tensors: Tensor[] = [];
  readonly #buffers: WeightBuffer[] = [];
  readonly #chunks: Pointer[];
  /** Shared with what frees the context, which must not hold it. */
  readonly #made: { tensors: number };
  #chunkTensors = FIRST_CHUNK_TENSORS / 2;
  #room = 0;

  /** Made by Ggml.context(). */
  constructor(readonly native: Native) {
    const chunks: Pointer[] = [];
    const made = { tensors: 0 };
    super('context', 'context', () => {
      for (const chunk of chunks) native.ggml.free(chunk);
      countTensors(-made.tensors);
    });
    this.#chunks = chunks;
    this.#made = made;
    this.ops = bindOps(this);
  }

  /** The tensors of this context, in order of creation. */
  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  /** Bytes of the weights allocated so far. */
  get bytes(): number {
    return this.#buffers.reduce((sum, buffer) => sum + buffer.bytes, 0);
  }

  /** A weight, cache or constant of the given dimensions (`ne` order, fastest first); give it memory with allocate(). */
  tensor(type: TensorType, ne: readonly number[], name?: string): Tensor {
    const dimensions = checkDimensions('tensor', type, ne);
    const tensor = this.make('none', [], { type, ne: dimensions }, 'new_tensor_4d', typeInfo(type).id, ...dimensions);
    if (name !== undefined) tensor.named(name);
    return tensor;
  }

  /** An input of a graph: zero until set(), and keeping its values from one computation to the next. */
  input(type: TensorType, ne: readonly number[], name?: string): Tensor {
    const tensor = this.tensor(type, ne, name);
    tensor.isInput = true;
    // An input that is no output may be overwritten by later results of the same graph.
    tensor.isOutput = true;
    return tensor;
  }

  /** Gives every weight of this context that has none yet memory on `backend`, zeroed unless told otherwise. */
  allocate(backend: Backend, options: AllocateOptions = {}): void {
    const buffers = this.#place('allocate', backend, options);
    if (options.zero ?? true) for (const buffer of buffers) buffer.zero();
  }

  /** allocate() on a worker thread: what is large takes tens of milliseconds to take and to zero. */
  async allocateAsync(backend: Backend, options: AllocateOptions = {}): Promise<void> {
    for (const [type, tensors] of this.#unplaced('allocateAsync', backend, options)) {
      const buffer = await allocateTensorsAsync(type, tensors);
      this.#buffers.push(buffer);
      if (options.zero ?? true) await buffer.zeroAsync();
    }
  }

  #place(where: string, backend: Backend, options: AllocateOptions): WeightBuffer[] {
    const first = this.#buffers.length;
    for (const [type, tensors] of this.#unplaced(where, backend, options)) {
      this.#buffers.push(allocateTensors(type, tensors));
    }
    return this.#buffers.slice(first);
  }

  /**
   * allocate(), with the bytes that a file holds under the tensors' names; their types and dimensions must be the file's.
   * On a CPU what is not interleaved stays in the mapped file, without a copy, and is read-only.
   */
  async load(backend: Backend, file: GgufFile, options: AllocateOptions = {}): Promise<void> {
    const groups = this.#unplaced('load', backend, options);
    for (const tensors of groups.values()) for (const tensor of tensors) file.expect(tensor);
    for (const [type, tensors] of groups) {
      const stays = (tensor: Tensor) => type === backend.defaultBufferType && file.isMappable(backend, tensor);
      const mapped = tensors.filter(stays).map((tensor) => ({ tensor, position: file.expect(tensor).position }));
      const copied = tensors.filter((tensor) => !stays(tensor));
      if (file.mapping && mapped.length > 0) this.#buffers.push(mapTensors(type, file.mapping, mapped));
      if (copied.length > 0) this.#buffers.push(await allocateTensorsAsync(type, copied));
      for (const tensor of copied) await file.upload(tensor);
    }
  }

  /** The weights without memory, by the kind of memory that they are to have. */
  #unplaced(where: string, backend: Backend, { interleave }: AllocateOptions): Map<BufferType, Tensor[]> {
    this.assertAlive(where);
    if (!(backend instanceof Backend)) throw new TypeError(`${where}: expected a Backend`);
    backend.assertAlive(where);
    const groups = new Map<BufferType, Tensor[]>();
    for (const tensor of this.#tensors) {
      if (tensor.op !== 'none' || tensor.isInput || tensor.storage) continue;
      const wanted = typeof interleave === 'function' ? interleave(tensor) : interleave;
      const type = wanted ? placeFor(backend, tensor) : backend.defaultBufferType;
      const group = groups.get(type);
      if (group) group.push(tensor);
      else groups.set(type, [tensor]);
    }
    return groups;
  }

  /** An empty graph; see Graph. */
  graph(): Graph {
    this.assertAlive('graph');
    return new Graph(this);
  }

  /** Frees its tensors and weights; graphs made of them can no longer be computed. */
  override free(): void {
    if (this.freed) return;
    this.assertIdle('free');
    for (const buffer of this.#buffers) buffer.assertIdle('free');
    super.free();
    for (const buffer of this.#buffers) buffer.free();
  }

  /** free() that gives the memory of the weights back on a worker thread. */
  async freeAsync(): Promise<void> {
    if (this.freed) return;
    this.assertIdle('freeAsync');
    for (const buffer of this.#buffers) buffer.assertIdle('freeAsync');
    super.free();
    await Promise.all(this.#buffers.map((buffer) => buffer.freeAsync()));
  }

  /** Describes one tensor: what it will be, and how ggml makes it. For the operations, which have checked everything before. */
  make<M extends Maker>(
    op: string,
    sources: readonly Tensor[],
    shape: TensorShape,
    maker: M,
    ...args: MakerArguments<M>
  ): Tensor {
    this.assertAlive('context');
    const tensor = new Tensor(this, { maker, args }, op, sources, shape);
    this.#tensors.push(tensor);
    this.#made.tensors++;
    countTensors(1);
    return tensor;
  }

  /** Has ggml make a tensor in this thread, and first what it is made of. */
  makeNow(tensor: Tensor): Pointer {
    const { maker, args } = tensor.recipe;
    const { ggml } = this.native;
    const call = ggml[maker] as (...args: unknown[]) => Pointer | null;
    const given = args.map((arg) => (arg instanceof Tensor ? arg.pointer : arg));
    const pointer = call(this.#reserve(), ...given);
    if (!pointer) throw new GgmlError(`${tensor.op}: ggml returned no tensor`);
    const made = koffi.decode(pointer, NE_OFFSET, 'int64_t', 8) as BigInt64Array;
    if ([...tensor.ne, ...tensor.nb].some((n, i) => BigInt(n) !== made[i])) throw unlike(tensor);
    if (tensor.isInput) ggml.set_input(pointer);
    if (tensor.isOutput) ggml.set_output(pointer);
    return pointer;
  }

  /** Takes memory that holds some of its tensors, which were made elsewhere. */
  own(chunk: Pointer): void {
    // The newest chunk stays the last, since there may be room in it.
    this.#chunks.unshift(chunk);
  }

  /** A native context with room for one more tensor; running out of room would abort the process. */
  #reserve(): Pointer {
    this.assertAlive('context');
    if (this.#room === 0) {
      this.#chunkTensors = Math.min(2 * this.#chunkTensors, MAX_CHUNK_TENSORS);
      const chunk = this.native.initContext(this.#chunkTensors * this.native.ggml.tensor_overhead());
      if (!chunk) throw new GgmlError('context: out of memory');
      this.#chunks.push(chunk);
      this.#room = this.#chunkTensors;
    }
    this.#room--;
    return this.#chunks[this.#chunks.length - 1];
  }
}

function placeFor(backend: Backend, tensor: Tensor): BufferType {
  const [columns, rows, ...more] = tensor.ne;
  const isMatrix = rows > 1 && more.every((n) => n === 1);
  const extra = isMatrix && backend.extraBufferTypes.find((type) => type.supports(tensor.type, columns, rows));
  return extra || backend.defaultBufferType;
}

/** Four dimensions from one to four; whole blocks in the first, no overflow. */
export function checkDimensions(where: string, type: TensorType, ne: readonly number[]): Dimensions {
  const { blockSize } = typeInfo(type, where);
  const whole =
    Array.isArray(ne) && ne.length >= 1 && ne.length <= 4 && ne.every((n) => Number.isSafeInteger(n) && n > 0);
  if (!whole)
    throw new ShapeError(
      `${where}: expected one to four positive dimensions, got [${Array.isArray(ne) ? ne.map(String).join(', ') : String(ne)}]`,
    );
  if (ne[0] % blockSize) {
    throw new ShapeError(
      `${where}: expected a first dimension in multiples of ${blockSize} for ${type}, got [${ne.join(', ')}]`,
    );
  }
  const elements = ne.reduce((product, n) => product * n, 1);
  if (elements > MAX_ELEMENTS) {
    throw new ShapeError(`${where}: expected at most ${MAX_ELEMENTS} elements, got [${ne.join(', ')}]`);
  }
  return [ne[0], ne[1] ?? 1, ne[2] ?? 1, ne[3] ?? 1];
}
