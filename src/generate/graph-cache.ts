import {
  HeadGraph,
  NoiseGraph,
  PrefillGraph,
  StepGraph,
  TrunkGraph,
  type GraphParts,
  type NoiseShape,
  type Step,
  type StepShape,
} from './graphs.js';
import type { KvCache } from './kv-cache.js';
import { NoiseBeside, SplitStep, WholeStep } from './split-step.js';

/** Cache lengths that graphs are built for: powers of two from here. */
const SHORTEST_WINDOW = 128;
const SHORTEST_PREFILL = 4;
/** Prefill graphs are for powers of two positions up to here, and above for multiples of it: a third of padding would be a third of the time. */
const PREFILL_STEP = 16;
/** Positions of one prefill graph; longer texts take several, so that other streams are not kept waiting. */
export const LONGEST_PREFILL = 64;
/** Graphs kept: building one again costs milliseconds, keeping one its activations' memory. */
const GRAPHS_KEPT = 48;

/** The power of two that holds `needed`, from `smallest` up. */
const bucket = (needed: number, smallest: number) => Math.max(smallest, 2 ** Math.ceil(Math.log2(needed)));

const roundedUp = (count: number, step: number) => Math.ceil(count / step) * step;

type BuiltGraph = StepGraph | PrefillGraph | TrunkGraph | HeadGraph | NoiseGraph;

/** What a step is to compute. */
interface StepSizes extends StepShape {
  /** First slot. */
  slot: number;
  /** Most positions of a row. */
  length: number;
}

/** Graphs by their sizes, the least recently used dropped. */
export class GraphCache {
  readonly #graphs = new Map<string, BuiltGraph>();
  readonly #rowsAtOnce: number;

  constructor(
    private readonly parts: GraphParts,
    private readonly cache: KvCache,
  ) {
    this.#rowsAtOnce = parts.weights.rowsAtOnce(parts.workers.main);
  }

  /** A step over `rows` slots from `slot`, `streams` frames, shared out where there are workers for its rows. */
  async step(sizes: StepSizes): Promise<Step> {
    const { workers } = this.parts;
    const shares = Math.min(workers.all.length, Math.ceil(sizes.rows / this.#rowsAtOnce));
    if (shares > 1) return this.#split(sizes, shares);
    return new WholeStep((noise) => this.#whole(sizes, noise));
  }

  #whole({ slot, rows, streams, length, watched }: StepSizes, { given, ahead }: NoiseShape): Promise<StepGraph> {
    const window = this.#window(slot, length);
    const key = `step ${slot} ${rows} ${streams} ${window.length} ${watched} ${given} ${ahead}`;
    return this.#get(key, () => new StepGraph(this.parts, window, { rows, streams, watched, given, ahead }));
  }

  #noise(): NoiseBeside {
    const { parts } = this;
    return new NoiseBeside((frames) =>
      this.#get(`noise ${frames}`, () => new NoiseGraph(parts, frames, parts.workers.all[1])),
    );
  }

  async #split({ slot, rows, streams, length, watched }: StepSizes, shares: number): Promise<Step> {
    const { parts } = this;
    const { workers } = parts;
    const trunks = workers.all.slice(0, shares).map((worker, i) => {
      const from = Math.floor((i * rows) / shares);
      const shape = { rows: Math.floor(((i + 1) * rows) / shares) - from, watched };
      const window = this.#window(slot + from, length);
      const key = `trunk ${i} ${slot + from} ${shape.rows} ${window.length} ${watched}`;
      return this.#get(key, () => new TrunkGraph(parts, window, shape, worker));
    });
    const heads = this.#get(`head ${streams}`, () => new HeadGraph(parts, streams));
    const [head, ...all] = await Promise.all([heads, ...trunks]);
    return new SplitStep({ workers, trunks: all, head, noise: this.#noise() });
  }

  /** A prefill of `count` positions of a slot whose last is number `length` - 1. */
  prefill({ slot, count, length }: { slot: number; count: number; length: number }): Promise<PrefillGraph> {
    const window = this.#window(slot, length);
    const capacity = count <= PREFILL_STEP ? bucket(count, SHORTEST_PREFILL) : roundedUp(count, PREFILL_STEP);
    const key = `prefill ${slot} ${capacity} ${window.length}`;
    return this.#get(key, () => new PrefillGraph(this.parts, window, capacity));
  }

  #window(slot: number, length: number) {
    return { cache: this.cache, slot, length: Math.min(bucket(length, SHORTEST_WINDOW), this.cache.positions) };
  }

  async #get<G extends BuiltGraph>(key: string, build: () => G): Promise<G> {
    const graph = (this.#graphs.get(key) ?? (await build().allocate())) as G;
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    if (this.#graphs.size > GRAPHS_KEPT) {
      const [oldest, unused] = this.#graphs.entries().next().value!;
      this.#graphs.delete(oldest);
      unused.free();
    }
    return graph;
  }

  free(): void {
    for (const graph of this.#graphs.values()) graph.free();
    this.#graphs.clear();
  }
}
