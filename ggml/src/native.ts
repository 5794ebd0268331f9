import koffi, { type LibraryHandle } from 'koffi';
import { GgmlError } from './errors.js';
import {
  BASE,
  C_TYPES,
  GGUF,
  type NativeFunction,
  type Pointer,
  REGISTRY,
  type Signature,
} from './native-functions.js';
import type { GgmlLibraries } from './platform.js';

export type { Pointer } from './native-functions.js';

type Functions<T extends Record<string, Signature>> = { readonly [K in keyof T]: NativeFunction<T[K]> };

/** ggml's C functions, typed, without their prefix. Nothing here is checked: callers check first. */
export interface Native {
  readonly ggml: Functions<typeof BASE>;
  readonly gguf: Functions<typeof GGUF>;
  readonly registry: Functions<typeof REGISTRY>;
  /** Parses GGUF bytes that were checked: the meta data of a file up to its data section. */
  readonly parseGguf: (header: Uint8Array) => Pointer | null;
  readonly initContext: (bytes: number) => Pointer | null;
  readonly symbol: (name: string) => Pointer;
}

// Computations run on koffi's worker stacks; its default of 128 KiB is small for kernels with arrays on the stack.
const WORKER_STACK_BYTES = 2 << 20;

/** Opens the two libraries and binds every function; a missing one is a GgmlError that lists all of them. */
export function loadNative(libraries: GgmlLibraries): Native {
  const settings = koffi.config();
  if ((settings.async_stack_size ?? 0) < WORKER_STACK_BYTES) {
    koffi.config({ ...settings, async_stack_size: WORKER_STACK_BYTES });
  }
  const base = open(libraries.base);
  const registry = open(libraries.registry);
  const absent: string[] = [];
  const native = {
    ggml: bind(base, 'ggml_', BASE, absent),
    gguf: bind(base, 'gguf_', GGUF, absent),
    registry: bind(registry, 'ggml_', REGISTRY, absent),
    parseGguf: bindParse(base, absent),
    initContext: bindInit(base, absent),
    symbol: (name: string) => base.symbol(name) as Pointer,
  };
  if (absent.length) {
    throw new GgmlError(
      `openGgml: ${libraries.directory} holds another version of ggml, without ${absent.join(', ')}; ` +
        'install the version of @node-llama-cpp that this package names',
    );
  }
  return native;
}

function open(file: string): LibraryHandle {
  try {
    return koffi.load(file);
  } catch (error) {
    throw new GgmlError(`openGgml: ${file} does not load: ${(error as Error).message}`, { cause: error });
  }
}

function bind<T extends Record<string, Signature>>(
  library: LibraryHandle,
  prefix: string,
  table: T,
  absent: string[],
): Functions<T> {
  const bound: Record<string, unknown> = {};
  for (const [name, [result, ...args]] of Object.entries(table) as [string, Signature][]) {
    try {
      bound[name] = library.func(
        prefix + name,
        C_TYPES[result],
        args.map((arg) => C_TYPES[arg]),
      );
    } catch {
      absent.push(prefix + name);
    }
  }
  return bound as Functions<T>;
}

function bindInit(base: LibraryHandle, absent: string[]): Native['initContext'] {
  const parameters = koffi.struct({ mem_size: 'size_t', mem_buffer: 'void*', no_alloc: 'bool' });
  try {
    const init = base.func('ggml_init', 'void*', [parameters]);
    return (bytes) => init({ mem_size: bytes, mem_buffer: null, no_alloc: true }) as Pointer | null;
  } catch {
    absent.push('ggml_init');
    return () => null;
  }
}

function bindParse(base: LibraryHandle, absent: string[]): Native['parseGguf'] {
  const parameters = koffi.struct({ no_alloc: 'bool', ctx: 'void*' });
  try {
    const parse = base.func('gguf_init_from_buffer', 'void*', ['void*', 'size_t', parameters]);
    return (header) => parse(header, header.byteLength, { no_alloc: true, ctx: null }) as Pointer | null;
  } catch {
    absent.push('gguf_init_from_buffer');
    return () => null;
  }
}
