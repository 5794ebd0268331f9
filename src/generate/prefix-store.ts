import type { CachedPositions } from './kv-cache.js';

/** The first positions of a stream, which other streams begin with too: what a voice's prompt puts there. */
export interface SharedPrefix {
  /** What the positions are those of; equal owners have equal positions. */
  owner: object;
  /** Positions of the conditional row. */
  conditional: number;
  /** Positions of the unconditional row. */
  unconditional: number;
}

/** Which row of a stream begins with a prefix. */
export type PrefixRow = 'conditional' | 'unconditional';

/** Owners whose prefixes are kept: at full size ten seconds of prompt take 37 MB. */
const OWNERS_KEPT = 4;

/** Keys and values of prefixes that were computed once; the least recently used owner's are dropped. */
export class PrefixStore {
  readonly #kept = new Map<object, Partial<Record<PrefixRow, CachedPositions>>>();

  /** What was kept of a row of this prefix. */
  get(prefix: SharedPrefix, row: PrefixRow): CachedPositions | undefined {
    const rows = this.#kept.get(prefix.owner);
    if (!rows) return undefined;
    this.#kept.delete(prefix.owner);
    this.#kept.set(prefix.owner, rows);
    return rows[row]?.positions === prefix[row] ? rows[row] : undefined;
  }

  set(prefix: SharedPrefix, row: PrefixRow, positions: CachedPositions): void {
    const rows = this.#kept.get(prefix.owner) ?? {};
    rows[row]?.free();
    rows[row] = positions;
    this.#kept.set(prefix.owner, rows);
    if (this.#kept.size <= OWNERS_KEPT) return;
    const [oldest] = this.#kept.keys();
    this.#drop(oldest);
  }

  free(): void {
    for (const owner of [...this.#kept.keys()]) this.#drop(owner);
  }

  #drop(owner: object): void {
    for (const positions of Object.values(this.#kept.get(owner) ?? {})) positions.free();
    this.#kept.delete(owner);
  }
}
