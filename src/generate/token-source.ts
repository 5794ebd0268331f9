/** Token ids as generation reads them, a turn at a time. */
export interface TokenSource {
  /**
   * The next `count` ids, fewer only where the text ends; waits until they are there. `ended` says that no more will come.
   * Rejects with the signal's reason when it is aborted, or with what the text's writer failed with.
   */
  read(count: number, signal?: AbortSignal): Promise<{ ids: number[]; ended: boolean }>;
}

/** Token ids that arrive over time: `push` them, `end` with the last ones, or `fail`. */
export class TokenQueue implements TokenSource {
  readonly #ids: number[] = [];
  #closed = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** A text that is known as a whole. */
  static of(ids: readonly number[]): TokenQueue {
    const queue = new TokenQueue();
    queue.end(ids);
    return queue;
  }

  push(ids: readonly number[]): void {
    for (const id of ids) this.#ids.push(id);
    this.#wake?.();
  }

  /** Adds the last ids. There is at least one, the end token, so a reader of all others knows that more will come. */
  end(ids: readonly number[]): void {
    this.#closed = true;
    this.push(ids);
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake?.();
  }

  async read(count: number, signal?: AbortSignal): Promise<{ ids: number[]; ended: boolean }> {
    while (!this.#closed && this.#ids.length < count) {
      signal?.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      await this.#arrival(signal);
    }
    const ids = this.#ids.splice(0, Math.min(count, this.#ids.length));
    return { ids, ended: this.#closed && this.#ids.length === 0 };
  }

  #arrival(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal?.addEventListener('abort', wake);
    });
  }
}
