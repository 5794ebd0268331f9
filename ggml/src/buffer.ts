import koffi from 'koffi';
import { GgmlError, ShapeError } from './errors.js';
import type { FileMapping } from './gguf/file-mapping.js';
import type { Kernels } from './kernels.js';
import { NativeOwner } from './lifetime.js';
import type { Native, Pointer } from './native.js';
import type { Tensor, TensorStorage, WeightLayout } from './tensor.js';
import { typeInfo, type TensorType } from './tensor-type.js';
import { onWorker } from './worker.js';

/** Offset of `buffer` in struct ggml_tensor. */
const BUFFER_OFFSET = 8;
const TENSOR_BYTES_BOUND = 1 << 12;
const USAGE_WEIGHTS = 1;
const CPU = 0; // enum ggml_backend_dev_type
const PAGE_BYTES = 4096n;
const LARGE_PAGE_BYTES = 2 ** 21;
const MADV_HUGEPAGE = 14;

/** A kind of memory of a device: its default one, or an extra one such as CPU_REPACK that interleaves weights. */
export class BufferType {
  readonly name: string;
  /** Set where weights are in a layout of our own. */
  readonly layout: WeightLayout | undefined = undefined;
  readonly #known = new Map<string, boolean>();

  constructor(
    readonly native: Native,
    readonly pointer: Pointer,
    readonly device: Pointer,
    /** True for memory that keeps tensors in a form of its own: written whole, never read, only multiplied by. */
    readonly interleaved: boolean,
  ) {
    this.name = native.ggml.backend_buft_name(pointer);
  }

  /**
   * True when a matrix of this type and shape (`ne` order: columns, rows) can live here.
   * A tensor that an interleaving type cannot hold would end the process at upload, so ask (allocate() does).
   */
  supports(type: TensorType, columns: number, rows: number): boolean {
    const { blockSize } = typeInfo(type, 'supports');
    const whole = [columns, rows].every((n) => Number.isSafeInteger(n) && n > 0 && n < 2 ** 31);
    if (!whole) throw new ShapeError(`supports: expected columns and rows, got ${String(columns)} and ${String(rows)}`);
    if (columns % blockSize) return false;
    if (!this.interleaved) return true;
    const key = `${type} ${columns} ${rows}`;
    let answer = this.#known.get(key);
    if (answer === undefined) {
      answer = this.#ask(type, columns, rows);
      this.#known.set(key, answer);
    }
    return answer;
  }

  /** Builds the product that the weight would serve, with the weight in an empty buffer of this type, and asks. */
  #ask(type: TensorType, columns: number, rows: number): boolean {
    const { id } = typeInfo(type);
    const { ggml } = this.native;
    const context = this.native.initContext(TENSOR_BYTES_BOUND);
    const empty = ggml.backend_buft_alloc_buffer(this.pointer, 0);
    try {
      const weight = context && ggml.new_tensor(context, id, 2, [columns, rows]);
      const input = context && ggml.new_tensor(context, 0, 2, [columns, 1]);
      const product = weight && ggml.mul_mat(context, weight, input);
      if (!product || !empty) return false;
      koffi.encode(weight, BUFFER_OFFSET, 'void*', empty);
      return ggml.backend_dev_supports_op(this.device, product);
    } finally {
      ggml.free(context);
      if (empty) ggml.backend_buffer_free(empty);
    }
  }
}

/** A CPU's memory in the layout of our own kernels: sixteen rows of a matrix side by side, see native/products.c. */
export class RowsBufferType extends BufferType {
  override readonly name = 'CPU_ROWS';

  constructor(
    native: Native,
    pointer: Pointer,
    device: Pointer,
    override readonly layout: Kernels,
  ) {
    super(native, pointer, device, true);
  }

  override supports(type: TensorType, columns: number, rows: number): boolean {
    return this.layout.supports(type, columns, rows);
  }
}

/** Memory of weights and caches. Made by Context.allocate; freed with its context. */
export class WeightBuffer extends NativeOwner implements TensorStorage {
  readonly owner = this;
  readonly plain: boolean;
  readonly readOnly: boolean;
  readonly layout: WeightLayout | undefined;
  readonly #pointer: Pointer;
  readonly #mapping: FileMapping | undefined;

  constructor(
    readonly bufferType: BufferType,
    pointer: Pointer,
    /** Size in bytes. */
    readonly bytes: number,
    /** The file that it lies in; it is kept mapped as long as the buffer is there. */
    mapping?: FileMapping,
  ) {
    const { native } = bufferType;
    mapping?.retain();
    super('buffer', 'buffer', () =>
      giveBack(native, () => {
        native.ggml.backend_buffer_free(pointer);
        mapping?.release();
      }),
    );
    this.#pointer = pointer;
    this.#mapping = mapping;
    this.plain = !bufferType.interleaved;
    this.layout = bufferType.layout;
    this.readOnly = mapping !== undefined;
  }

  /** Makes every byte zero. */
  zero(): void {
    this.bufferType.native.ggml.backend_buffer_clear(this.#pointer, 0);
  }

  /** zero() on a worker thread: a large buffer takes tens of milliseconds. */
  async zeroAsync(): Promise<void> {
    this.users++;
    try {
      await onWorker(this.bufferType.native.ggml.backend_buffer_clear, this.#pointer, 0);
    } finally {
      this.users--;
    }
  }

  /** free() on a worker thread: giving hundreds of megabytes back to the system takes tens of milliseconds. */
  async freeAsync(): Promise<void> {
    if (!this.surrender()) return;
    const { ggml, kernels } = this.bufferType.native;
    const release = async () => {
      await onWorker(ggml.backend_buffer_free, this.#pointer);
      await this.#mapping?.releaseAsync();
    };
    if (kernels?.isHelping) kernels.whenLetGo(() => void release());
    else await release();
  }
}

/** Frees memory that kernels may have read. */
export function giveBack({ kernels }: Native, free: () => void): void {
  if (kernels) kernels.whenLetGo(free);
  else free();
}

/** Puts `tensors` (leaves without memory) into one new buffer of `type`, zeroed by the caller. GgmlError when memory is short. */
export function allocateTensors(type: BufferType, tensors: readonly Tensor[]): WeightBuffer {
  const room = roomFor(type, tensors);
  const { backend_buft_alloc_buffer: allocate } = type.native.ggml;
  const pointer = room.fits ? allocate(type.pointer, room.bytes + room.alignment) : null;
  const wish = largePagesOf(type, pointer, room.bytes);
  if (wish) type.native.cLibrary?.madvise(...wish);
  return place(type, tensors, room, pointer);
}

/** allocateTensors() that takes the memory on a worker thread: a GPU's driver can be slow to give it. */
export async function allocateTensorsAsync(type: BufferType, tensors: readonly Tensor[]): Promise<WeightBuffer> {
  const room = roomFor(type, tensors);
  const { backend_buft_alloc_buffer: allocate } = type.native.ggml;
  const pointer = room.fits ? await onWorker(allocate, type.pointer, room.bytes + room.alignment) : null;
  const wish = largePagesOf(type, pointer, room.bytes);
  const { cLibrary } = type.native;
  if (wish && cLibrary) await onWorker(cLibrary.madvise, ...wish);
  return place(type, tensors, room, pointer);
}

/** Where tensors come to lie in a buffer of their own. */
interface Room {
  readonly alignment: number;
  /** A tensor's distance from the aligned base. */
  readonly offsets: readonly number[];
  /** One alignment more is to be allocated: a buffer's base need not be aligned itself. */
  readonly bytes: number;
  readonly fits: boolean;
}

function roomFor(type: BufferType, tensors: readonly Tensor[]): Room {
  const { ggml } = type.native;
  const alignment = ggml.backend_buft_get_alignment(type.pointer);
  const offsets: number[] = [];
  let bytes = 0;
  for (const tensor of tensors) {
    offsets.push(bytes);
    const size = ggml.backend_buft_get_alloc_size(type.pointer, tensor.pointer);
    bytes += Math.ceil(size / alignment) * alignment;
  }
  return { alignment, offsets, bytes, fits: bytes < ggml.backend_buft_get_max_size(type.pointer) };
}

function place(
  type: BufferType,
  tensors: readonly Tensor[],
  { alignment, offsets, bytes }: Room,
  pointer: Pointer | null,
): WeightBuffer {
  const { ggml } = type.native;
  if (!pointer) {
    throw new GgmlError(
      `allocate: ${type.name} has no ${(bytes / 2 ** 20).toFixed(1)} MiB for ${tensors.length} tensors; ` +
        'use a smaller or more quantized model, or another backend',
    );
  }
  const buffer = new WeightBuffer(type, pointer, bytes);
  ggml.backend_buffer_set_usage(pointer, USAGE_WEIGHTS);
  const base = ggml.backend_buffer_get_base(pointer) ?? 0n;
  const aligned = roundedUp(base, BigInt(alignment));
  tensors.forEach((tensor, i) => {
    const status = ggml.backend_tensor_alloc(pointer, tensor.pointer, aligned + BigInt(offsets[i]));
    if (status !== 0) throw new GgmlError(`allocate: ${type.name} refused ${tensor.describe()} (status ${status})`);
    tensor.storage = buffer;
  });
  return buffer;
}

const roundedUp = (address: bigint, step: bigint) => ((address + step - 1n) / step) * step;

/**
 * What madvise() is to ask Linux for, where it pays: pages of 2 MB, since weights are read from end to end again and again, and memory in pages
 * of 4 KB gives an eighth less. It is a wish; nothing is done about a refusal. It waits for other threads that take memory.
 */
function largePagesOf(
  { native: { ggml }, device }: BufferType,
  buffer: Pointer | null,
  bytes: number,
): [start: Pointer, bytes: number, advice: number] | undefined {
  if (!buffer || process.platform !== 'linux' || bytes < LARGE_PAGE_BYTES || ggml.backend_dev_type(device) !== CPU)
    return undefined;
  const base = ggml.backend_buffer_get_base(buffer) ?? 0n;
  const start = roundedUp(base, PAGE_BYTES);
  return [start, bytes - Number(start - base), MADV_HUGEPAGE];
}

/** Lets `tensors` be the bytes of a mapped file at their positions. For memory that a CPU computes in. */
export function mapTensors(
  type: BufferType,
  mapping: FileMapping,
  tensors: readonly { readonly tensor: Tensor; readonly position: number }[],
): WeightBuffer {
  const { ggml } = type.native;
  const pointer = ggml.backend_cpu_buffer_from_ptr(mapping.pointer, mapping.bytes);
  if (!pointer) throw new GgmlError('load: ggml took no mapped file');
  const bytes = tensors.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
  const buffer = new WeightBuffer(type, pointer, bytes, mapping);
  ggml.backend_buffer_set_usage(pointer, USAGE_WEIGHTS);
  for (const { tensor, position } of tensors) {
    const status = ggml.backend_tensor_alloc(pointer, tensor.pointer, mapping.pointer + BigInt(position));
    if (status !== 0)
      throw new GgmlError(`load: ggml refused ${tensor.describe()} in a mapped file (status ${status})`);
    tensor.storage = buffer;
  }
  return buffer;
}
