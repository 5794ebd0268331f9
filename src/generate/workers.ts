import type { Backend, Ggml } from '@sled-tts/ggml';

/** More than a step has rows for, and each costs a backend. */
const MOST_WORKERS = 8;

export interface WorkersOptions {
  /** `cpu`, `gpu`, or the name of one of ggml's devices. */
  device: string;
  /** Threads of a CPU, over all workers. */
  threads: number;
}

/**
 * Backends of one device that compute different rows at the same time.
 *
 * ggml's threads wait for each other busily after every operation, some 350 times a frame. Where another program has one of the
 * processors, each wait may last a time slice: two threads of one graph then take 450 ms for what takes 8. Graphs of one
 * thread each wait for each other once a frame and share a processor like any other program. A thread that has one more beside
 * it has help instead, where there are kernels for that: what it helps with nobody waits for.
 */
export class Workers {
  private constructor(
    /** Each with a thread or more of its own. */
    readonly all: readonly Backend[],
    private readonly threads: number,
  ) {}

  /** @throws {GgmlError} when there is no such device. @throws {RangeError} for a number of threads that ggml has not. */
  static async open(ggml: Ggml, { device, threads }: WorkersOptions): Promise<Workers> {
    const main = await ggml.backendAsync(device, { threads, helped: threads === 2 });
    if (main.device.kind !== 'cpu') return new Workers([main], 1);
    const more = Math.min(threads, MOST_WORKERS) - 1;
    return new Workers([main, ...Array.from({ length: more }, () => ggml.backend(device, { threads: 1 }))], threads);
  }

  /** What holds weights and cache, which all of them read. */
  get main(): Backend {
    return this.all[0];
  }

  /**
   * Readies the first `count` workers to compute at the same time. Threads that are left over are theirs, but for one: a thread
   * that has to wait for a processor, because the codec or another program has it, holds up all that compute with it.
   */
  share(count: number): void {
    this.#setThreads(count, Math.max(1, Math.floor((this.threads - 1) / count)));
  }

  /**
   * Readies the first worker to compute alone, with every thread: for many positions of one row, whose products are so large
   * that the threads seldom meet.
   */
  gather(): void {
    this.#setThreads(1, this.main.helped ? 1 : this.threads);
  }

  #setThreads(count: number, each: number): void {
    if (this.main.device.kind === 'cpu') for (const worker of this.all.slice(0, count)) worker.setThreads(each);
  }

  async free(): Promise<void> {
    for (const worker of this.all) await worker.freeAsync();
  }
}
