import type { KvCache } from './kv-cache.js';
import { PrefillGraph, StepGraph, type GraphParts } from './graphs.js';

/** Cache lengths that graphs are built for: powers of two from here. */
const SHORTEST_WINDOW = 128;
const SHORTEST_PREFILL = 4;
/** Positions of one prefill graph; longer texts take several, so that other streams are not kept waiting. */
export const LONGEST_PREFILL = 64;
/** Graphs kept: building one again costs milliseconds, keeping one its activations' memory. */
const GRAPHS_KEPT = 48;

/** The power of two that holds `needed`, from `smallest` up. */
const bucket = (needed: number, smallest: number) => Math.max(smallest, 2 ** Math.ceil(Math.log2(needed)));

/** What a step graph is built for. */
interface StepSizes {
  slot: number;
  rows: number;
  streams: number;
  length: number;
  watched: boolean;
}

/** Graphs by their sizes, the least recently used dropped. */
export class GraphCache {
  readonly #graphs = new Map<string, StepGraph | PrefillGraph>();

  constructor(
    private readonly parts: GraphParts,
    private readonly cache: KvCache,
  ) {}

  /** A step over `rows` slots from `slot`, `streams` frames, for rows of at most `length` positions, with or without head scores. */
  step({ slot, rows, streams, length, watched }: StepSizes): StepGraph {
    const window = this.#window(slot, length);
    const key = `step ${slot} ${rows} ${streams} ${window.length} ${watched}`;
    return this.#get(key, () => new StepGraph(this.parts, window, rows, streams, watched));
  }

  /** A prefill of `count` positions of a slot whose last is number `length` - 1. */
  prefill({ slot, count, length }: { slot: number; count: number; length: number }): PrefillGraph {
    const window = this.#window(slot, length);
    const capacity = bucket(count, SHORTEST_PREFILL);
    const key = `prefill ${slot} ${capacity} ${window.length}`;
    return this.#get(key, () => new PrefillGraph(this.parts, window, capacity));
  }

  #window(slot: number, length: number) {
    return { cache: this.cache, slot, length: Math.min(bucket(length, SHORTEST_WINDOW), this.cache.positions) };
  }

  #get<G extends StepGraph | PrefillGraph>(key: string, build: () => G): G {
    const graph = (this.#graphs.get(key) as G | undefined) ?? build();
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
