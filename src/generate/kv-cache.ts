import type { Backend, Context, Ggml, Ops, Tensor } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';

/** Element type of cached keys and values; f32 is for comparing with other engines, q8_0 for heads of whole blocks of 32. */
export type CacheType = 'f16' | 'f32' | 'q8_0';

/** Keys and values of the first positions of a row, outside the cache: a layer's keys are [positions, C]. */
export interface CachedPositions {
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly positions: number;
  free(): Promise<void>;
}

/**
 * Keys and values of every layer, in place: a slot holds one row's positions.
 * It has no memory until allocate(). C width, P positions a slot, R slots: a layer's keys are [R * P + 1, C]; the last row takes what padding writes.
 */
export class KvCache {
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly #context: Context;

  constructor(
    ggml: Ggml,
    readonly backend: Backend,
    config: SledConfig,
    readonly type: CacheType,
    readonly slots: number,
    /** P */
    readonly positions: number,
  ) {
    const context = ggml.context();
    const make = (kind: string) =>
      Array.from({ length: config.layers }, (_, i) =>
        context.tensor(type, [config.width, slots * positions + 1], `cache.${i}.${kind}`),
      );
    this.keys = make('keys');
    this.values = make('values');
    this.#context = context;
  }

  /** Takes the memory, zeroed, beside other work: at full size it takes tens of milliseconds. */
  async allocate(): Promise<this> {
    try {
      await this.#context.allocateAsync(this.backend);
      return this;
    } catch (error) {
      await this.free();
      throw error;
    }
  }

  /** Number of the cache row that holds a slot's position. */
  rowOf(slot: number, position: number): number {
    return slot * this.positions + position;
  }

  /** The row that nothing reads. */
  get padding(): number {
    return this.slots * this.positions;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#context.bytes;
  }

  /** Copies everything from a smaller cache. */
  async copyFrom(old: KvCache, ggml: Ggml): Promise<void> {
    await this.#copy(ggml, old, (from, to, ops) =>
      Array.from({ length: old.slots }, (_, slot) => [
        old.#firstPositions(from, slot, old.positions, ops),
        this.#firstPositions(to, slot, old.positions, ops),
      ]),
    );
  }

  /** Copies the first positions of a slot out of the cache. */
  async save(slot: number, positions: number, ggml: Ggml): Promise<CachedPositions> {
    const context = ggml.context();
    const like = ({ ne: [C] }: Tensor) => context.tensor(this.type, [C, positions]);
    const saved = {
      keys: this.keys.map(like),
      values: this.values.map(like),
      positions,
      free: () => context.freeAsync(),
    };
    await context.allocateAsync(this.backend, { zero: false });
    await this.#copy(ggml, saved, (to, from, ops) => [[this.#firstPositions(from, slot, positions, ops), to]]);
    return saved;
  }

  /** Puts what `save` copied into the first positions of a slot. */
  async restore(saved: CachedPositions, slot: number, ggml: Ggml): Promise<void> {
    await this.#copy(ggml, saved, (from, to, ops) => [[from, this.#firstPositions(to, slot, saved.positions, ops)]]);
  }

  #firstPositions(cached: Tensor, slot: number, positions: number, { view }: Ops): Tensor {
    const [C] = cached.ne;
    return view(cached, [C, positions], { strides: [C], offset: slot * this.positions * C });
  }

  /** Copies every layer's keys and values, `pairs` giving sources and targets of theirs and ours. */
  async #copy(
    ggml: Ggml,
    other: { keys: readonly Tensor[]; values: readonly Tensor[] },
    pairs: (theirs: Tensor, ours: Tensor, ops: Ops) => [Tensor, Tensor][],
  ): Promise<void> {
    const context = ggml.context();
    const graph = context.graph();
    const { ops } = context;
    const copy = (theirs: Tensor, ours: Tensor) => {
      for (const pair of pairs(theirs, ours, ops)) graph.expand(ops.cpy(...pair));
    };
    other.keys.forEach((keys, i) => copy(keys, this.keys[i]));
    other.values.forEach((values, i) => copy(values, this.values[i]));
    try {
      await (await graph.allocateAsync(this.backend)).compute();
    } finally {
      graph.free();
      context.free();
    }
  }

  /** Gives the memory back, beside other work. */
  free(): Promise<void> {
    return this.#context.freeAsync();
  }
}
