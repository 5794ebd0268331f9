/** A pair of token ids that stands in words. */
export interface CountedPair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** The indices of the words that have held it. */
  readonly words: Set<number>;
}

/** The heap's copy of a pair with the count that it had when it was put there. */
interface Entry {
  readonly pair: CountedPair;
  readonly count: number;
}

const precedes = (a: Entry, b: Entry): boolean => {
  if (a.count !== b.count) return a.count > b.count;
  return a.pair.left !== b.pair.left ? a.pair.left < b.pair.left : a.pair.right < b.pair.right;
};

/** Pairs by falling count, then by rising ids. Counts may change at any time; `settle` makes risen ones visible. */
export class MergeQueue {
  private readonly pairs = new Map<string, CountedPair>();
  private readonly risen = new Set<CountedPair>();
  private readonly heap: Entry[] = [];

  /** Adds `by` to the count of a pair that stands in the word with this index. */
  add(left: number, right: number, by: number, word: number): void {
    const key = `${left} ${right}`;
    let pair = this.pairs.get(key);
    if (pair === undefined) {
      pair = { left, right, count: 0, words: new Set() };
      this.pairs.set(key, pair);
    }
    pair.count += by;
    if (by > 0) {
      pair.words.add(word);
      this.risen.add(pair);
    }
  }

  /** Puts the pairs whose count rose into the heap. */
  settle(): void {
    for (const pair of this.risen) if (pair.count > 0) this.insert({ pair, count: pair.count });
    this.risen.clear();
  }

  /** Takes out the first pair; undefined when none is left. */
  pop(): CountedPair | undefined {
    for (let entry = this.removeFirst(); entry !== undefined; entry = this.removeFirst()) {
      const { pair } = entry;
      if (!this.pairs.has(`${pair.left} ${pair.right}`)) continue;
      if (pair.count !== entry.count) {
        if (pair.count > 0) this.insert({ pair, count: pair.count });
        continue;
      }
      this.pairs.delete(`${pair.left} ${pair.right}`);
      return pair;
    }
    return undefined;
  }

  private insert(entry: Entry): void {
    const { heap } = this;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!precedes(entry, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  private removeFirst(): Entry | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && precedes(heap[child + 1], heap[child])) child += 1;
      if (!precedes(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
