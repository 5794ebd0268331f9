import koffi from 'koffi';
import { GgmlError } from './errors.js';
import type { KernelFunctions, Memory, Native, Pointer } from './native.js';
import type { Tensor, WeightLayout } from './tensor.js';
import { TENSOR_TYPES, typeInfo, type TensorType } from './tensor-type.js';
import { onWorker } from './worker.js';

/** Of struct ggml_tensor: `op` and the `op_params` after it, which say what computes a node. */
const OP_OFFSET = 80n;
const OP_BYTES = 4 + 64;
const PARAMETERS = 4;
/** In a custom operation's parameters: what it hands to its function. */
const USER_DATA = PARAMETERS + 16;
/** In there, after ggml's first parameter: whether a thread that is alone may have help. */
const HELPED = USER_DATA + 4;
const DATA_OFFSET = 248;
const ALL_THREADS = -1; // GGML_N_TASKS_MAX
const PROBE_BYTES = 1 << 12;
/** Between two looks at a helper that has no processor. */
const LET_GO_MS = 20;

/** What a node is made with. */
type GraphFunctions = Pick<Native, 'ggml' | 'initContext' | 'cLibrary'>;

/** By `level`, enum instructions of native/kernels.h; attention and norms are for AVX-512 alone. */
const INSTRUCTIONS = ['avx2', 'avx512', 'avx512-bf16'] as const;

/**
 * Our own kernels for a CPU, native/*.c. Graphs stay what they are; of a node that ggml made, only what computes it is replaced.
 */
export class Kernels implements WeightLayout {
  /** What they are made of. */
  readonly instructions: (typeof INSTRUCTIONS)[number];
  readonly #native: GraphFunctions;
  readonly #functions: KernelFunctions;
  readonly #product: Uint8Array;
  readonly #attention: Uint8Array;
  /** By ggml's name. */
  readonly #norms: ReadonlyMap<string, Uint8Array>;

  /** `level` is what `supported` answered. */
  constructor(native: GraphFunctions, functions: KernelFunctions, level: number) {
    this.#native = native;
    this.#functions = functions;
    this.instructions = INSTRUCTIONS[level - 1];
    this.#product = customOperation(native, functions.product);
    this.#attention = customOperation(native, functions.attention);
    this.#norms = new Map([
      ['norm', customOperation(native, functions.norm)],
      ['rms_norm', customOperation(native, functions.rmsNorm)],
    ]);
  }

  /** Whether a matrix of `rows` rows of `columns` can be interleaved for product(). */
  supports(type: TensorType, columns: number, rows: number): boolean {
    return this.#functions.product_fits(typeInfo(type, 'supports').id, columns, rows) === 1;
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

  /** Gives a node to a kernel of ours if there is one for it; `helped` where the helper is to take a part of it. */
  takeOver(node: Tensor, { helped }: { helped: boolean }): void {
    if (node.op === 'mulMat' && node.sources[0].root.storage?.layout) this.#replace(node, this.#product, helped);
    if (node.op === 'flashAttention' && this.#attends(node)) this.#replace(node, this.#attention, helped);
    const norm = this.#norms.get(node.op);
    if (norm && this.#functions.norm_fits(node.ne[0]) === 1) this.#replace(node, norm, false);
  }

  /** The operation is handed ggml's first parameter, attention's scale and a norm's epsilon. */
  #replace(node: Tensor, operation: Uint8Array, helped: boolean): void {
    const replaced = operationOf(node);
    const parameter = replaced.slice(PARAMETERS, PARAMETERS + 4);
    replaced.set(operation);
    replaced.set(parameter, USER_DATA);
    replaced[HELPED] = helped ? 1 : 0;
  }

  /** Heads of queries, keys and values side by side, keys and values in f16. */
  #attends({ sources: [q, k, v, mask] }: Tensor): boolean {
    const [E, T, H] = q.ne;
    const together = q.nb[2] === 4 * E && q.nb[1] === 4 * E * H && q.nb[3] === 4 * E * H * T;
    const neighbours = together && [k, v].every(({ nb }) => nb[2] === 2 * E);
    const plain = neighbours && [k, v].every(({ type, ne }) => type === 'f16' && ne[0] === E && ne[2] === H);
    const masked = (mask as Tensor | undefined) === undefined || (mask.ne[2] === 1 && mask.isContiguous);
    return plain && masked && this.#functions.attention_fits(E, T, k.ne[1]) === 1;
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
