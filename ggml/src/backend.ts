import koffi from 'koffi';
import { BufferType, RowsBufferType } from './buffer.js';
import { GgmlError } from './errors.js';
import type { Kernels } from './kernels.js';
import { NativeOwner } from './lifetime.js';
import type { Native, Pointer } from './native.js';
import type { Tensor } from './tensor.js';
import { onWorker } from './worker.js';

const SET_THREADS = koffi.proto('void', ['void*', 'int']);
const GET_EXTRA_BUFFER_TYPES = koffi.proto('void*', ['void*']);
const SET_ABORT = koffi.proto('void', ['void*', 'void*', 'void*']);
const MAX_THREADS = 512; // GGML_MAX_N_THREADS
const ABORT_CONTEXT_BYTES = 256;

const KINDS = ['cpu', 'gpu', 'gpu', 'accelerator'] as const; // enum ggml_backend_dev_type: CPU, GPU, IGPU, ACCEL

/** A processor that ggml can compute on. */
export interface Device {
  /** ggml's name, such as CPU, CUDA0, Vulkan0, Metal. */
  readonly name: string;
  readonly description: string;
  readonly kind: 'cpu' | 'gpu' | 'accelerator';
}
/** A device, and what it has. */
export interface DeviceStatus extends Device {
  /** Bytes free and in total, as the device reports them. */
  readonly memory: { readonly free: number; readonly total: number };
}
export interface FoundDevice extends Device {
  readonly pointer: Pointer;
}

/** Every device of the loaded backends. */
export function listDevices(native: Native): FoundDevice[] {
  const { ggml, registry } = native;
  return Array.from({ length: registry.backend_dev_count() }, (_, i) => {
    const pointer = registry.backend_dev_get(i) as Pointer;
    return {
      pointer,
      name: ggml.backend_dev_name(pointer),
      description: ggml.backend_dev_description(pointer),
      kind: KINDS[ggml.backend_dev_type(pointer)] ?? 'accelerator',
    };
  });
}

/** What listDevices() leaves out, since a GPU's driver wakes the GPU to answer. */
export function statusOf({ ggml }: Native, { pointer, ...device }: FoundDevice): DeviceStatus {
  const free = new BigUint64Array(1);
  const total = new BigUint64Array(1);
  ggml.backend_dev_memory(pointer, free, total);
  return { ...device, memory: { free: Number(free[0]), total: Number(total[0]) } };
}

export interface BackendOptions {
  /** Threads of a CPU backend (default: the cores, at most 4); ignored by other devices. */
  readonly threads?: number;
  /**
   * Whether one thread of a CPU backend has help with our own kernels from a thread that takes only what nobody else wants
   * of the processors (default: no).
   */
  readonly helped?: boolean;
}

interface Job {
  readonly graph: Pointer;
  readonly signal: AbortSignal | undefined;
  readonly settle: (error: unknown) => void;
}

const STATUS: Readonly<Record<string, string>> = { '-2': 'out of memory', '-1': 'failed', '1': 'aborted' };
let computations = 0;

/** Graphs computed by this process so far; for tests that count them. */
export const graphComputations = (): number => computations;

/** A device made ready to compute. One computation runs at a time; more are queued in order. */
export class Backend extends NativeOwner {
  readonly name: string;
  readonly defaultBufferType: BufferType;
  /** Memory kinds that make products faster for the types that they support, best first (CPU_ROWS, CPU_REPACK, ...). */
  readonly extraBufferTypes: readonly BufferType[];
  /** Our own, on a CPU that they are made for. */
  readonly kernels: Kernels | undefined;
  /** See BackendOptions. */
  readonly helped: boolean;
  readonly #setThreads: ((backend: Pointer, threads: number) => void) | undefined;
  readonly #setAbort: ((backend: Pointer, callback: Pointer | null, data: Pointer | null) => void) | undefined;
  readonly #abortFlag: Pointer | undefined;
  readonly #accepted = new WeakMap<BufferType, boolean>();
  readonly #queue: Job[] = [];
  #threads: number | undefined;
  #running = false;

  constructor(
    readonly native: Native,
    readonly device: Device,
    readonly pointer: Pointer,
    devicePointer: Pointer,
    { helped = false }: BackendOptions = {},
  ) {
    const flag = native.initContext(ABORT_CONTEXT_BYTES) ?? undefined;
    super('backend', 'backend', () => {
      native.ggml.backend_free(pointer);
      if (flag !== undefined) native.ggml.free(flag);
    });
    const { ggml } = native;
    this.name = ggml.backend_name(pointer);
    const registry = ggml.backend_dev_backend_reg(devicePointer);
    const lookUp = <F>(name: string, type: ReturnType<typeof koffi.proto>): F | undefined => {
      const address = registry && ggml.backend_reg_get_proc_address(registry, name);
      return address ? (koffi.decode(address, type) as F) : undefined;
    };
    this.#setThreads = lookUp('ggml_backend_set_n_threads', SET_THREADS);
    this.#setAbort = lookUp('ggml_backend_set_abort_callback', SET_ABORT);
    this.#abortFlag = flag;
    const plain = ggml.backend_get_default_buffer_type(pointer) as Pointer;
    this.defaultBufferType = new BufferType(native, plain, devicePointer, false);
    const extra = lookUp<(device: Pointer) => Pointer | null>(
      'ggml_backend_dev_get_extra_bufts',
      GET_EXTRA_BUFFER_TYPES,
    );
    const interleaving = pointersAt(extra?.(devicePointer)).map(
      (type) => new BufferType(native, type, devicePointer, true),
    );
    this.kernels = device.kind === 'cpu' ? native.kernels : undefined;
    this.helped = helped && this.kernels !== undefined;
    if (this.helped) this.kernels?.startHelper();
    const rows = this.kernels && new RowsBufferType(native, plain, devicePointer, this.kernels);
    this.extraBufferTypes = rows ? [rows, ...interleaving] : interleaving;
  }

  /** True when a running computation can be stopped by an AbortSignal before it ends. */
  get abortable(): boolean {
    return this.#setAbort !== undefined;
  }

  /** Whether our own kernels multiply a matrix, whatever columns of x it meets: for what overlaps, which ggml's interleaved ones refuse. */
  readonly hasKernelFor = ({ type, ne: [columns, rows] }: Tensor): boolean =>
    this.kernels?.supports(type, columns, rows) ?? false;

  /** free() on a worker thread: a GPU's driver takes milliseconds. */
  async freeAsync(): Promise<void> {
    if (!this.surrender()) return;
    await onWorker(this.native.ggml.backend_free, this.pointer);
    if (this.#abortFlag !== undefined) this.native.ggml.free(this.#abortFlag);
  }

  /** Sets the number of threads (1 to 512); a GgmlError on a backend without threads, or while it computes. */
  setThreads(threads: number): void {
    this.assertAlive('setThreads');
    this.assertIdle('setThreads');
    if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
      throw new RangeError(`setThreads: expected 1 to ${MAX_THREADS} threads, got ${String(threads)}`);
    }
    if (!this.#setThreads) throw new GgmlError(`setThreads: backend ${this.name} has no threads to set`);
    if (threads === this.#threads) return;
    this.#setThreads(this.pointer, threads);
    this.#threads = threads;
  }

  /** Whether the backend has this operation for tensors like these; ggml would abort the process where it does not. */
  canCompute(result: Tensor): boolean {
    // ggml's CPU attends to heads of any size. Asking makes all that a result is made of, which is wanted before only for this.
    if (this.device.kind === 'cpu' && result.op === 'flashAttention') return true;
    return this.native.ggml.backend_supports_op(this.pointer, result.pointer);
  }

  /** True when the backend can use memory of this type. */
  accepts(type: BufferType): boolean {
    const accepted = this.#accepted.get(type) ?? this.native.ggml.backend_supports_buft(this.pointer, type.pointer);
    this.#accepted.set(type, accepted);
    return accepted;
  }

  /** Runs a graph in this thread. For Graph.computeSync. */
  runSync(graph: Pointer): void {
    this.assertIdle('computeSync');
    computations++;
    checkStatus(this.native.ggml.backend_graph_compute(this.pointer, graph));
  }

  /** Runs a graph on a worker thread, after those before it. For Graph.compute. */
  run(graph: Pointer, signal: AbortSignal | undefined, settle: (error: unknown) => void): void {
    this.#queue.push({ graph, signal, settle });
    if (!this.#running) this.#next();
  }

  #next(): void {
    const job = this.#queue.shift();
    this.#running = job !== undefined;
    if (!job) return;
    if (job.signal?.aborted) {
      job.settle(job.signal.reason);
      this.#next();
      return;
    }
    const stopWatching = this.#watch(job.signal);
    computations++;
    const finish = (error: Error | null, status: number) => {
      stopWatching?.();
      job.settle(failure(error, status, job.signal));
      this.#next();
    };
    try {
      this.native.ggml.backend_graph_compute.async(this.pointer, job.graph, finish);
    } catch (error) {
      finish(error as Error, 0); // koffi's queue is full
    }
  }

  /**
   * ggml asks a C callback on its own thread whether to stop; JavaScript cannot answer there. ggml_get_no_alloc has the
   * callback's signature and reads one bool of a context, so a context of our own serves as the flag.
   */
  #watch(signal: AbortSignal | undefined): (() => void) | undefined {
    const flag = this.#abortFlag;
    if (!signal || !this.#setAbort || flag === undefined) return undefined;
    const { ggml } = this.native;
    ggml.set_no_alloc(flag, false);
    this.#setAbort(this.pointer, this.native.symbol('ggml_get_no_alloc'), flag);
    const stop = () => ggml.set_no_alloc(flag, true);
    signal.addEventListener('abort', stop);
    return () => {
      signal.removeEventListener('abort', stop);
      this.#setAbort?.(this.pointer, null, null);
    };
  }
}

function failure(error: Error | null, status: number, signal: AbortSignal | undefined): unknown {
  if (error) return error;
  if (status === 0) return undefined;
  if (signal?.aborted) return signal.reason;
  return new GgmlError(`compute: ${STATUS[String(status)] ?? `status ${status}`}`);
}

function checkStatus(status: number): void {
  if (status !== 0) throw new GgmlError(`computeSync: ${STATUS[String(status)] ?? `status ${status}`}`);
}

/** The pointers of a null-terminated C array. */
function pointersAt(array: Pointer | null | undefined): Pointer[] {
  const pointers: Pointer[] = [];
  if (!array) return pointers;
  for (;;) {
    const pointer = koffi.decode(array, pointers.length * 8, 'void*') as Pointer | null;
    if (!pointer) return pointers;
    pointers.push(pointer);
  }
}
