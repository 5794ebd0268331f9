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

  async set(prefix: SharedPrefix, row: PrefixRow, positions: CachedPositions): Promise<void> {
    const rows = this.#kept.get(prefix.owner) ?? {};
    const replaced = rows[row];
    rows[row] = positions;
    this.#kept.set(prefix.owner, rows);
    await replaced?.free();
    if (this.#kept.size <= OWNERS_KEPT) return;
    const [oldest] = this.#kept.keys();
    await this.#drop(oldest);
  }

  async free(): Promise<void> {
    for (const owner of [...this.#kept.keys()]) await this.#drop(owner);
  }

  async #drop(owner: object): Promise<void> {
    const rows = Object.values(this.#kept.get(owner) ?? {});
    this.#kept.delete(owner);
    for (const positions of rows) await positions.free();
  }
}
