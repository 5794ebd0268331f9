import type { Backend } from './backend.js';
import { GgmlError } from './errors.js';
import { KERNEL_NAMES } from './kernels.js';
import type { KernelFunctions, Native, Pointer } from './native.js';
import { MAKERS } from './native-functions.js';
import type { Maker } from './recipe.js';
import type { Tensor } from './tensor.js';
import { onWorker } from './worker.js';

/** What a graph is made of. */
export interface GraphPlan {
  readonly native: Native;
  readonly backend: Backend;
  /** Every tensor of the graph, sources before what is computed of them. */
  readonly order: readonly Tensor[];
}

/** A graph as ggml has it. */
export interface AssembledGraph {
  readonly graph: Pointer;
  /** Holds it. */
  readonly context: Pointer;
  /** Has the memory of its inputs and results. */
  readonly allocator: Pointer;
  /** Holds the tensors that were made with it. */
  readonly tensors?: Pointer;
}

/** By the order of enum outcome in native/graphs.c. */
const [UNLIKE, UNKNOWN] = [1, 2];
const FLAGS = { input: 1, output: 2, cleared: 4, helped: 8 };
/** Words of 8 bytes of a struct node there, and where its members begin. */
const WORDS = 26;
const AT = { make: 0, tensor: 1, integers: 2, references: 12, floats: 13, ne: 16, nb: 20, flags: 24, data: 25 };
/** Words of a struct graph. */
const HEAD = { nodes: 0, backend: 1, bufferType: 2, tensors: 3, context: 4, graph: 5, allocator: 6, failed: 7 };
const HEAD_WORDS = 8;
/** By the order of struct functions. */
const FUNCTIONS = [
  'init', 'tensor_overhead', 'graph_overhead_custom', 'set_input', 'set_output', 'new_graph_custom',
  'build_forward_expand', 'gallocr_new', 'gallocr_alloc_graph', 'backend_supports_op', 'backend_tensor_set',
]; // prettier-ignore
const FOUR = [0, 1, 2, 3] as const;

/** Makes graphs in one native call each, native/graphs.c, which may run on a worker thread. */
export class GraphAssembler {
  readonly #assemble: KernelFunctions['assemble'];
  readonly #addressOf: (maker: string) => Pointer;
  readonly #functions: BigUint64Array;
  readonly #makers = new Map<Maker, Pointer>();

  constructor(assemble: KernelFunctions['assemble'], symbol: Native['symbol']) {
    this.#assemble = assemble;
    this.#addressOf = (name) => symbol(`ggml_${name}`);
    this.#functions = BigUint64Array.from(FUNCTIONS, this.#addressOf);
  }

  assemble(plan: GraphPlan): AssembledGraph {
    const description = this.#describe(plan);
    return description.taken(this.#assemble(...description.memory));
  }

  /** assemble() on a worker thread; its tensors and what they are made of must stay as they are until it resolves. */
  async assembleAsync(plan: GraphPlan): Promise<AssembledGraph> {
    const description = this.#describe(plan);
    return description.taken(await onWorker(this.#assemble, ...description.memory));
  }

  #describe(plan: GraphPlan): Description {
    return new Description(plan, this.#functions, (maker) => {
      const known = this.#makers.get(maker) ?? this.#addressOf(maker);
      this.#makers.set(maker, known);
      return known;
    });
  }
}

/** A graph in the words of native/graphs.c. */
class Description {
  readonly memory: Parameters<KernelFunctions['assemble']>;
  readonly #head: BigUint64Array;
  readonly #addresses: BigUint64Array;
  readonly #integers: Uint32Array;
  readonly #floats: Float32Array;
  readonly #numbers: ReadonlyMap<Tensor, number>;

  constructor(
    private readonly plan: GraphPlan,
    functions: BigUint64Array,
    private readonly addressOf: (maker: Maker) => Pointer,
  ) {
    const { order, backend } = plan;
    const nodes = new ArrayBuffer(8 * WORDS * order.length);
    this.#head = new BigUint64Array(HEAD_WORDS);
    this.#head[HEAD.nodes] = BigInt(order.length);
    this.#head[HEAD.backend] = backend.pointer;
    this.#head[HEAD.bufferType] = backend.defaultBufferType.pointer;
    this.#addresses = new BigUint64Array(nodes);
    this.#integers = new Uint32Array(nodes);
    this.#floats = new Float32Array(nodes);
    this.#numbers = new Map(order.map((tensor, i) => [tensor, i]));
    order.forEach((tensor, i) => this.#write(tensor, WORDS * i));
    const operations = backend.kernels?.operations ?? null;
    this.memory = [functions, this.#head, this.#addresses, operations];
  }

  #write(tensor: Tensor, at: number): void {
    if (tensor.isMade) {
      this.#addresses[at + AT.tensor] = tensor.pointer;
    } else {
      this.#addresses[at + AT.make] = this.addressOf(tensor.recipe.maker);
      this.#writeArguments(tensor, at);
    }
    for (const i of FOUR) {
      this.#writeInteger(at + AT.ne + i, tensor.ne[i]);
      this.#writeInteger(at + AT.nb + i, tensor.nb[i]);
    }
    const { backend } = this.plan;
    const kernel = backend.kernels?.kernelFor(tensor);
    const isHelped = kernel !== undefined && backend.helped;
    this.#integers[2 * (at + AT.flags)] =
      (tensor.isInput ? FLAGS.input : 0) |
      (tensor.isOutput ? FLAGS.output : 0) |
      (tensor.isInput && !tensor.storage ? FLAGS.cleared : 0) |
      (isHelped ? FLAGS.helped : 0);
    this.#integers[2 * (at + AT.flags) + 1] = kernel === undefined ? 0 : KERNEL_NAMES.indexOf(kernel) + 1;
  }

  /** Integers and floats, each in order. */
  #writeArguments({ recipe: { maker, args } }: Tensor, at: number): void {
    const [, , ...types] = MAKERS[maker];
    let [integers, floats, references] = [0, 0, 0];
    args.forEach((arg, i) => {
      if (types[i] === 'float') {
        this.#floats[2 * (at + AT.floats) + floats++] = arg as number;
        return;
      }
      if (isTensor(arg)) references |= 1 << integers;
      this.#writeInteger(at + AT.integers + integers++, isTensor(arg) ? this.#numbers.get(arg)! : Number(arg));
    });
    this.#writeInteger(at + AT.references, references);
  }

  #writeInteger(word: number, value: number): void {
    this.#integers[2 * word] = value % 2 ** 32;
    this.#integers[2 * word + 1] = Math.floor(value / 2 ** 32);
  }

  /** Tells the tensors where they came to be. @throws {GgmlError} for an outcome other than 0. */
  taken(outcome: number): AssembledGraph {
    const [head, { native, order }] = [this.#head, this.plan];
    const [tensors, context, graph, allocator] = head.subarray(HEAD.tensors, HEAD.failed);
    if (outcome !== 0) {
      if (allocator !== 0n) native.ggml.gallocr_free(allocator);
      for (const made of [context, tensors]) if (made !== 0n) native.ggml.free(made);
      throw this.#failure(outcome);
    }
    order.forEach((tensor, i) => {
      const at = WORDS * i;
      if (!tensor.isMade) tensor.made(this.#addresses[at + AT.tensor]);
      tensor.address = this.#addresses[at + AT.data];
    });
    return { graph, context, allocator, tensors };
  }

  #failure(outcome: number): GgmlError {
    const { order, backend } = this.plan;
    const tensor = order[Number(this.#head[HEAD.failed])];
    if (outcome === UNLIKE) return unlike(tensor);
    return outcome === UNKNOWN ? unknown(tensor, backend) : outOfMemory(backend);
  }
}

const isTensor = (arg: Tensor | number | boolean | null): arg is Tensor => typeof arg === 'object' && arg !== null;

/** The same by a native call for everything, in this thread: where our own library is not compiled. */
export function assembleHere({ native, backend, order }: GraphPlan): AssembledGraph {
  const { ggml } = native;
  for (const tensor of order) if (tensor.op !== 'none' && !backend.canCompute(tensor)) throw unknown(tensor, backend);
  // Nodes and leaves are counted apart by ggml; the sum is room enough for either.
  const capacity = order.length + 1;
  const context = native.initContext(ggml.graph_overhead_custom(capacity, false));
  const allocator = ggml.gallocr_new(backend.defaultBufferType.pointer);
  const graph = context && ggml.new_graph_custom(context, capacity, false);
  // One by one, sources first: ggml walks down from a result by recursion, too deep for an unrolled LSTM.
  if (graph) for (const tensor of order) ggml.build_forward_expand(graph, tensor.pointer);
  if (!graph || !allocator || !ggml.gallocr_alloc_graph(allocator, graph)) {
    if (allocator) ggml.gallocr_free(allocator);
    if (context) ggml.free(context);
    throw outOfMemory(backend);
  }
  for (const tensor of order) {
    if (tensor.isInput && !tensor.storage)
      ggml.backend_tensor_set(tensor.pointer, new Uint8Array(tensor.bytes), 0, tensor.bytes);
  }
  return { graph, context, allocator };
}

function unknown(tensor: Tensor, backend: Backend): GgmlError {
  const sources = tensor.sources.map((source) => source.describe()).join(', ');
  return new GgmlError(`allocate: ${backend.name} cannot compute ${tensor.describe()} from ${sources}`);
}

const outOfMemory = (backend: Backend) =>
  new GgmlError(`allocate: ${backend.name} has not enough memory for the results of this graph; use shorter inputs`);

/** The shapes of results are known before ggml makes them: it must agree. */
export const unlike = (tensor: Tensor): GgmlError =>
  new GgmlError(`${tensor.op}: ggml made something else than ${tensor.describe()}; install the version named`);
