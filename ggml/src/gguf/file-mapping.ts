import koffi from 'koffi';
import type { Pointer } from '../native.js';

const [PROT_READ, MAP_SHARED] = [1, 1]; // the same on Linux and macOS
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

interface MappingCalls {
  map: (
    address: null,
    bytes: number,
    protection: number,
    flags: number,
    file: number,
    offset: number,
  ) => Pointer | null;
  unmap: (address: Pointer, bytes: number) => number;
}

let calls: MappingCalls | undefined;

/** The C library's own functions; there are none of these names on Windows. */
function mappingCalls(): MappingCalls {
  if (calls) return calls;
  const library = koffi.load(null);
  calls = {
    map: library.func('mmap', 'void*', ['void*', 'size_t', 'int', 'int', 'int', 'int64_t']) as MappingCalls['map'],
    unmap: library.func('munmap', 'int', ['void*', 'size_t']) as MappingCalls['unmap'],
  };
  return calls;
}

/** An open file's bytes in memory, read-only; the system reads them when they are touched and may drop them again. */
export class FileMapping {
  #users = 1;

  private constructor(
    readonly pointer: Pointer,
    readonly bytes: number,
  ) {}

  /** Maps the first `bytes` of an open file; undefined where the system does not. */
  static of(fileDescriptor: number, bytes: number): FileMapping | undefined {
    if (process.platform === 'win32' || bytes === 0) return undefined;
    const pointer = mappingCalls().map(null, bytes, PROT_READ, MAP_SHARED, fileDescriptor, 0);
    return pointer === null || pointer === MAP_FAILED ? undefined : new FileMapping(pointer, bytes);
  }

  /** One more user; each calls release() once. */
  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) mappingCalls().unmap(this.pointer, this.bytes);
  }
}
