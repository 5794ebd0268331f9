import { onWorker } from '../worker.js';
import type { CLibrary, Native, Pointer } from '../native.js';

const [PROT_READ, MAP_SHARED] = [1, 1]; // the same on Linux and macOS
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** An open file's bytes in memory, read-only; the system reads them when they are touched and may drop them again. */
export class FileMapping {
  #users = 1;
  readonly #calls: CLibrary;

  private constructor(
    calls: CLibrary,
    readonly pointer: Pointer,
    readonly bytes: number,
  ) {
    this.#calls = calls;
  }

  /** Maps the first `bytes` of an open file; undefined where the system does not. */
  static of({ cLibrary }: Native, fileDescriptor: number, bytes: number): FileMapping | undefined {
    if (!cLibrary || bytes === 0) return undefined;
    const pointer = cLibrary.mmap(null, bytes, PROT_READ, MAP_SHARED, fileDescriptor, 0);
    return pointer === null || pointer === MAP_FAILED ? undefined : new FileMapping(cLibrary, pointer, bytes);
  }

  /** One more user; each calls release() once. */
  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) this.#calls.munmap(this.pointer, this.bytes);
  }

  /** release() on a worker thread: the system takes milliseconds to forget a file that was read. */
  async releaseAsync(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await onWorker(this.#calls.munmap, this.pointer, this.bytes);
  }
}
