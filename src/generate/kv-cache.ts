import type { Backend, Context, Ggml, Tensor } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';

/** Element type of cached keys and values; f32 is for comparing with other engines. */
export type CacheType = 'f16' | 'f32';

/**
 * Keys and values of every layer, in place: a slot holds one row's positions.
 * C width, P positions a slot, R slots: a layer's keys are [R * P + 1, C]; the last row takes what padding writes.
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
    context.allocate(backend);
    this.#context = context;
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
    const context = ggml.context();
    const graph = context.graph();
    const { view, cpy } = context.ops;
    const copy = (from: Tensor, to: Tensor) => {
      const [C] = from.ne;
      const ne = [C, old.positions, old.slots];
      const target = view(to, ne, { strides: [C, C * this.positions] });
      graph.expand(cpy(view(from, ne), target));
    };
    old.keys.forEach((keys, i) => copy(keys, this.keys[i]));
    old.values.forEach((values, i) => copy(values, this.values[i]));
    try {
      await graph.allocate(this.backend).compute();
    } finally {
      graph.free();
      context.free();
    }
  }

  free(): void {
    this.#context.free();
  }
}
