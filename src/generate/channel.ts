/** A queue between two tasks: one pushes, one iterates. A full channel makes the writer wait. */
export class Channel<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  readonly #waiting: (() => void)[] = [];
  #end: { error?: unknown } | undefined;

  /** `capacity` items may lie between writer and reader. */
  constructor(private readonly capacity = Infinity) {}

  /** Resolves when there is room again, or when the channel has ended. */
  async push(item: T): Promise<void> {
    if (this.#end) return;
    this.#items.push(item);
    this.#wake();
    while (this.#items.length >= this.capacity && !this.#end) await this.#change();
  }

  /** No more items: the reader gets what is there, then its end. */
  close(): void {
    this.#end ??= {};
    this.#wake();
  }

  /** The reader fails at once; items that it has not taken are dropped. */
  fail(error: unknown): void {
    this.#end ??= { error };
    if ('error' in this.#end) this.#items.length = 0;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    try {
      for (;;) {
        while (this.#items.length > 0) {
          const item = this.#items.shift()!;
          this.#wake();
          yield item;
        }
        if (this.#end) break;
        await this.#change();
      }
      if ('error' in this.#end) throw this.#end.error;
    } finally {
      this.close();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
