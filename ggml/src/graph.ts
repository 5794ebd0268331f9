import { Backend } from './backend.js';
import { giveBack, WeightBuffer } from './buffer.js';
import { GgmlError, ShapeError } from './errors.js';
import { NativeOwner } from './lifetime.js';
import type { Context } from './context.js';
import { assembleHere, type AssembledGraph, type GraphPlan } from './graph-assembler.js';
import type { Native, Pointer } from './native.js';
import { Tensor, type TensorStorage } from './tensor.js';

/** What a computation needs natively; outlives nothing, so it may be shared with the finaliser. */
interface GraphMemory {
  context: Pointer | undefined;
  allocator: Pointer | undefined;
}

/** Electron's JavaScript may not look into memory that is not its own. */
const CAN_LOOK_INTO_MEMORY = process.versions.electron === undefined;

/** Operations whose first operand may be an interleaved weight. */
const MULTIPLIES = 'mulMat';

/**
 * The operations to run, in order. `expand()` results into it, `allocate()` it on a backend, then set inputs, compute and
 * read outputs as often as wanted.
 */
export class Graph extends NativeOwner implements TensorStorage {
  readonly owner = this;
  readonly plain = true;
  readonly readOnly = false;
  readonly #context: Context;
  readonly #native: Native;
  readonly #memory: GraphMemory;
  readonly #order: Tensor[] = [];
  readonly #seen = new Set<Tensor>();
  readonly #roots: Tensor[] = [];
  /** Everything that must stay alive and untouched while this graph is computed. */
  readonly #owners = new Set<NativeOwner>();
  #backend: Backend | undefined;
  #graph: Pointer | undefined;

  /** Made by Context.graph(). */
  constructor(context: Context) {
    const { native } = context;
    const memory: GraphMemory = { context: undefined, allocator: undefined };
    super('graph', 'graph', () => giveBack(native, () => releaseMemory(native, memory)));
    this.#context = context;
    this.#native = native;
    this.#memory = memory;
  }

  get inProcess(): boolean {
    return this.#backend?.device.kind === 'cpu' && CAN_LOOK_INTO_MEMORY;
  }

  /** Number of tensors in the graph, inputs and weights included. */
  get size(): number {
    return this.#order.length;
  }

  /** Bytes of the memory for inputs and results. */
  get bytes(): number {
    const { allocator } = this.#memory;
    return allocator === undefined ? 0 : this.#native.ggml.gallocr_get_buffer_size(allocator, 0);
  }

  /** Adds a result and all that it needs, after what is there already. Order matters for setRows and cpy. */
  expand(result: Tensor): Tensor {
    this.assertAlive('expand');
    if (!(result instanceof Tensor)) throw new TypeError(`expand: expected a Tensor, got ${typeof result}`);
    if (this.#backend) throw new GgmlError('expand: this graph is allocated already; build another');
    result.assertAlive('expand');
    this.#visit(result);
    this.#roots.push(result);
    return result;
  }

  /** Sources first, without recursion: an unrolled LSTM is thousands of operations deep. */
  #visit(result: Tensor): void {
    const stack: { tensor: Tensor; next: number }[] = [];
    const enter = (tensor: Tensor) => {
      if (this.#seen.has(tensor)) return;
      this.#seen.add(tensor);
      stack.push({ tensor, next: 0 });
    };
    enter(result);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const source = top.tensor.sources[top.next++];
      if (source) {
        enter(source);
      } else {
        this.#order.push(top.tensor);
        stack.pop();
      }
    }
  }

  /** Fixes the graph and gives inputs and results memory on `backend`; inputs become zero. */
  allocate(backend: Backend): this {
    const plan = this.#plan('allocate', backend);
    const { assembler } = this.#native;
    try {
      return this.#take(plan, assembler ? assembler.assemble(plan) : assembleHere(plan));
    } catch (error) {
      this.#backend = undefined;
      throw error;
    }
  }

  /**
   * allocate() on a worker thread: a large graph takes milliseconds. Until it resolves, everything that the graph is made of is locked. Where our
   * own library is not compiled it is done in this thread.
   */
  async allocateAsync(backend: Backend): Promise<this> {
    const plan = this.#plan('allocateAsync', backend);
    const { assembler } = this.#native;
    for (const owner of this.#owners) owner.users++;
    try {
      return this.#take(plan, await (assembler?.assembleAsync(plan) ?? assembleHere(plan)));
    } catch (error) {
      this.#backend = undefined;
      throw error;
    } finally {
      for (const owner of this.#owners) owner.users--;
    }
  }

  /** What is to be assembled: everything is checked and nothing made. From then on the graph is fixed. */
  #plan(where: string, backend: Backend): GraphPlan {
    this.assertAlive(where);
    if (!(backend instanceof Backend)) throw new TypeError(`${where}: expected a Backend`);
    backend.assertAlive(where);
    if (this.#backend) throw new GgmlError(`${where}: this graph is allocated already`);
    if (!this.#roots.length) throw new GgmlError(`${where}: this graph is empty; expand() results into it first`);
    for (const tensor of this.#order) checkMemory(tensor, backend);
    // A tensor of another context lives as long as that.
    for (const tensor of this.#order) if (tensor.context !== this.#context) void tensor.pointer;
    this.#owners.clear();
    for (const owner of [this, backend]) this.#owners.add(owner);
    for (const tensor of this.#order) for (const owner of ownersOf(tensor)) this.#owners.add(owner);
    this.#backend = backend;
    return { native: this.#native, backend, order: this.#order };
  }

  #take({ order }: GraphPlan, { tensors, ...memory }: AssembledGraph): this {
    if (tensors !== undefined) this.#context.own(tensors);
    Object.assign(this.#memory, memory);
    this.#graph = memory.graph;
    for (const tensor of order) if (!tensor.isView) tensor.storage ??= this;
    return this;
  }

  /**
   * Computes on a worker thread. Several computations of a backend run in the order of the calls. Until it resolves, its
   * inputs, outputs and weights are locked. An aborted signal rejects with the signal's reason; outputs are then undefined.
   */
  compute(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal !== undefined && !(signal instanceof AbortSignal)) {
        throw new TypeError('compute: expected an AbortSignal as signal');
      }
      const { graph, backend } = this.#ready('compute');
      for (const owner of this.#owners) owner.users++;
      backend.run(graph, signal, (error) => {
        for (const owner of this.#owners) owner.users--;
        if (error === undefined) resolve();
        else reject(error as Error);
      });
    });
  }

  /** Computes in this thread, which is blocked meanwhile: for small graphs. */
  computeSync(): void {
    const { graph, backend } = this.#ready('computeSync');
    for (const owner of this.#owners) owner.assertIdle('computeSync');
    backend.runSync(graph);
  }

  #ready(where: string): { graph: Pointer; backend: Backend } {
    this.assertAlive(where);
    if (this.#graph === undefined || !this.#backend) throw new GgmlError(`${where}: allocate() this graph first`);
    for (const owner of this.#owners) owner.assertAlive(where);
    return { graph: this.#graph, backend: this.#backend };
  }
}

function releaseMemory({ ggml }: Native, memory: GraphMemory): void {
  if (memory.allocator !== undefined) ggml.gallocr_free(memory.allocator);
  if (memory.context !== undefined) ggml.free(memory.context);
  memory.allocator = undefined;
  memory.context = undefined;
}

/** Everything that ggml would only find out by an abort, or never. */
function checkMemory(tensor: Tensor, backend: Backend): void {
  tensor.assertAlive('allocate');
  const { storage } = tensor.root;
  storage?.owner.assertAlive('allocate');
  if (storage && !(storage instanceof WeightBuffer)) {
    throw new GgmlError(`allocate: ${tensor.describe()} belongs to another graph; build its operations anew`);
  }
  if (tensor.op !== 'none') {
    checkInterleaved(tensor);
  } else if (!storage && !tensor.isInput) {
    throw new GgmlError(`allocate: ${tensor.describe()} has no memory; allocate() its context first`);
  } else if (storage && !backend.accepts(storage.bufferType)) {
    throw new GgmlError(`allocate: ${backend.name} cannot use ${tensor.describe()} in ${storage.bufferType.name}`);
  }
}

/** Interleaved weights are known to mulMat's kernel only, and to no more than three dimensions of it. */
function checkInterleaved(tensor: Tensor): void {
  tensor.sources.forEach((source, i) => {
    if (source.root.storage?.plain !== false) return;
    if (tensor.op !== MULTIPLIES || i !== 0 || source.isView) {
      throw new GgmlError(
        `allocate: ${source.describe()} is interleaved, which only mulMat's first operand may be, not ${tensor.op}'s; ` +
          'allocate it without interleave',
      );
    }
    // ggml's interleaved kernels take columns for neighbours; ours read them where they are.
    const [, x] = tensor.sources;
    const isRead = x.ne[3] === 1 && x.type === 'f32' && (source.root.storage.layout ?? x.isContiguous);
    if (!isRead) {
      throw new ShapeError(
        `allocate: expected contiguous x f32 [K, M, L] for mulMat with the interleaved ${source.describe()}, got ${x.describe()}`,
      );
    }
  });
}

function ownersOf(tensor: Tensor): NativeOwner[] {
  const { storage } = tensor.root;
  const contexts = [tensor.context, tensor.root.context];
  return storage ? [...contexts, storage.owner] : contexts;
}
