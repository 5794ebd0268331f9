import koffi from 'koffi';
import { GgmlError } from './errors.js';
import type { KernelFunctions, Memory, Native, Pointer } from './native.js';
import type { Tensor, WeightLayout } from './tensor.js';
import { rowBytes, TENSOR_TYPES, typeInfo, type TensorType } from './tensor-type.js';
import { onWorker } from './worker.js';

/** Of struct ggml_tensor: `op` and the `op_params` after it, which say what computes a node. */
const OP_OFFSET = 80n;
const OP_BYTES = 4 + 64;
const PARAMETERS = 4;
const DATA_OFFSET = 248;
const ALL_THREADS = -1; // GGML_N_TASKS_MAX
const PROBE_BYTES = 1 << 12;
/** Between two looks at a helper that has no processor. */
const LET_GO_MS = 20;

/** What a node is made with. */
type GraphFunctions = Pick<Native, 'ggml' | 'initContext' | 'cLibrary'>;

/** Those that compute nodes, by their numbers in native/graphs.c from 1. */
export const KERNEL_NAMES = ['product', 'attention', 'norm', 'rmsNorm', 'elu'] as const;
export type KernelName = (typeof KERNEL_NAMES)[number];

/** By `level`, enum instructions of native/kernels.h; attention, norms and ELU are for AVX-512 alone. */
const INSTRUCTIONS = ['avx2', 'avx512', 'avx512-bf16'] as const;

/**
 * Our own kernels for a CPU, native/*.c. Graphs stay what they are; of a node that ggml made, only what computes it is replaced.
 */
export class Kernels implements WeightLayout {
  /** What they are made of. */
  readonly instructions: (typeof INSTRUCTIONS)[number];
  readonly #native: GraphFunctions;
  readonly #functions: KernelFunctions;
  /** Whether ELU of float32 without gaps is ours; ggml's is slower than a formula of several operations. */
  readonly hasElu: boolean;
  /** How ggml writes each of KERNEL_NAMES down. */
  readonly operations: Uint8Array;
  readonly #known = new Map<string, boolean>();

  /** `level` is what `supported` answered. */
  constructor(native: GraphFunctions, functions: KernelFunctions, level: number) {
    this.#native = native;
    this.#functions = functions;
    this.instructions = INSTRUCTIONS[level - 1];
    this.hasElu = this.instructions !== 'avx2';
    this.operations = new Uint8Array(OP_BYTES * KERNEL_NAMES.length);
    KERNEL_NAMES.forEach((name, i) => this.operations.set(customOperation(native, functions[name]), OP_BYTES * i));
  }

  /** Whether a matrix of `rows` rows of `columns` can be interleaved for product(). */
  supports(type: TensorType, columns: number, rows: number): boolean {
    return this.#fits('product_fits', typeInfo(type, 'supports').id, columns, rows);
  }

  pack(weight: Tensor, bytes: Memory): void {
    this.#functions.pack(...placeOf(weight), bytes, dataOf(weight));
  }

  packAsync(weight: Tensor, bytes: Memory): Promise<void> {
    return onWorker(this.#functions.pack, ...placeOf(weight), bytes, dataOf(weight));
  }

  /**
   * Starts the process's helper, see native/helper.h, if there is none yet. Where the system gives no thread, kernels go without.
   */
  startHelper(): void {
    if (!this.#functions.helper_wanted()) return;
    const thread = new BigUint64Array(1);
    if (this.#native.cLibrary?.pthread_create(thread, null, this.#functions.help, null) === 0)
      this.#functions.helper_started();
  }

  /** Whether the helper may be reading memory of a computation that is over: it is not waited for, nor is such memory given back. */
  get isHelping(): boolean {
    return this.#functions.helper_visits() % 2 === 1;
  }

  /** Gives memory back when the helper has let go of what it reads now: at once, or where it was held up later. */
  whenLetGo(giveBack: () => void): void {
    const { helper_visits: visits } = this.#functions;
    const now = visits();
    const look = () => {
      if (now % 2 === 0 || visits() !== now) giveBack();
      else setTimeout(look, LET_GO_MS).unref();
    };
    look();
  }

  /** The kernel of ours that computes a node, if there is one for it. */
  kernelFor(node: Tensor): KernelName | undefined {
    if (node.op === 'mulMat') return node.sources[0].root.storage?.layout && 'product';
    if (node.op === 'flashAttention') return this.#attends(node) ? 'attention' : undefined;
    if (node.op === 'elu')
      return this.hasElu && node.type === 'f32' && node.sources[0].isContiguous ? 'elu' : undefined;
    if (node.op !== 'norm' && node.op !== 'rms_norm') return undefined;
    if (!this.#fits('norm_fits', node.ne[0])) return undefined;
    return node.op === 'norm' ? 'norm' : 'rmsNorm';
  }

  /** Whether a kernel is for such sizes: each is asked for once. */
  #fits(which: 'product_fits' | 'attention_fits' | 'norm_fits', ...sizes: number[]): boolean {
    const key = `${which} ${sizes.join(' ')}`;
    const ask = this.#functions[which] as (...sizes: number[]) => number;
    const fits = this.#known.get(key) ?? ask(...sizes) === 1;
    this.#known.set(key, fits);
    return fits;
  }

  /** Whether attention of heads of E over keys and values in q8_0, half of float16's bytes, is ours. */
  attendsToBytes(E: number): boolean {
    return this.#fits('attention_fits', TENSOR_TYPES.q8_0.id, E, 1, 1);
  }

  /** Heads of queries, keys and values side by side, keys and values of one type. */
  #attends({ sources: [q, k, v, mask] }: Tensor): boolean {
    const [E, T, H] = q.ne;
    const together = q.nb[2] === 4 * E && q.nb[1] === 4 * E * H && q.nb[3] === 4 * E * H * T;
    if (!this.#fits('attention_fits', TENSOR_TYPES[k.type].id, E, T, k.ne[1])) return false;
    const neighbours = together && [k, v].every(({ type, nb }) => type === k.type && nb[2] === rowBytes(type, E));
    const plain = neighbours && [k, v].every(({ ne }) => ne[0] === E && ne[2] === H);
    const masked = (mask as Tensor | undefined) === undefined || (mask.ne[2] === 1 && mask.isContiguous);
    return plain && masked;
  }
}

const placeOf = ({ type, ne }: Tensor) => [TENSOR_TYPES[type].id, ne[0], ne[1]] as const;
const dataOf = ({ pointer }: Tensor) => koffi.decode(pointer, DATA_OFFSET, 'void*') as Pointer;
const operationOf = ({ pointer }: { pointer: Pointer }) => new Uint8Array(koffi.view(pointer + OP_OFFSET, OP_BYTES));

/** How ggml writes an operation that calls `compute`, read off one. */
function customOperation({ ggml, initContext }: GraphFunctions, compute: Pointer): Uint8Array {
  const { id } = TENSOR_TYPES.f32;
  const context = initContext(PROBE_BYTES);
  const source = context && ggml.new_tensor(context, id, 4, [1, 1, 1, 1]);
  if (!source) throw new GgmlError('openGgml: ggml made no tensor');
  const pointer = ggml.custom_4d(context, id, 1, 1, 1, 1, BigUint64Array.of(source), 1, compute, ALL_THREADS, null);
  const operation = pointer && operationOf({ pointer }).slice();
  ggml.free(context);
  if (!operation || new DataView(operation.buffer).getBigUint64(PARAMETERS, true) !== compute)
    throw new GgmlError(
      `openGgml: ggml ${ggml.version()} lays out its operations otherwise; install the version named`,
    );
  return operation;
}
