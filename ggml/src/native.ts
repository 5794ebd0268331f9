import koffi, { type LibraryHandle } from 'koffi';
import { GgmlError } from './errors.js';
import { GraphAssembler } from './graph-assembler.js';
import { Kernels } from './kernels.js';
import {
  BASE,
  C_TYPES,
  GGUF,
  KERNELS,
  C_LIBRARY,
  type NativeFunction,
  type Pointer,
  REGISTRY,
  type Signature,
} from './native-functions.js';
import { findKernels, isMusl, MUSL_ADVICE, type GgmlLibraries } from './platform.js';
import { watched, type CallWatcher } from './watch.js';

export type { Memory, Pointer } from './native-functions.js';

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
  /** The C library's own; undefined on Windows, which has none of these names. */
  readonly cLibrary: CLibrary | undefined;
  /** Our own kernels; undefined where they are not compiled or the processor lacks their instructions. */
  readonly kernels: Kernels | undefined;
  /** Of the same library; undefined where it is not compiled. */
  readonly assembler: GraphAssembler | undefined;
  /** Who is told of every synchronous call, see OpenOptions. */
  readonly onCall: CallWatcher | undefined;
}

/** Files in memory, and threads. */
export type CLibrary = Functions<typeof C_LIBRARY>;

/** native/*.c: functions, and the addresses of operations. */
export type KernelFunctions = Functions<typeof KERNELS> & {
  readonly product: Pointer;
  readonly attention: Pointer;
  readonly norm: Pointer;
  readonly rmsNorm: Pointer;
  readonly elu: Pointer;
  readonly help: Pointer;
};

// Computations run on koffi's worker stacks; its default of 128 KiB is small for kernels with arrays on the stack, and a GPU's driver
// compiles on them, as deep as on any thread. Only what is touched takes memory.
const WORKER_STACK_BYTES = 8 << 20;

/** Opens the two libraries and binds every function; a missing one is a GgmlError that lists all of them. */
export function loadNative(libraries: GgmlLibraries, onCall?: CallWatcher): Native {
  const settings = koffi.config();
  if ((settings.async_stack_size ?? 0) < WORKER_STACK_BYTES) {
    koffi.config({ ...settings, async_stack_size: WORKER_STACK_BYTES });
  }
  const base = open(libraries.base);
  const registry = open(libraries.registry);
  const absent: string[] = [];
  const native = {
    ggml: bind(base, 'ggml_', BASE, { absent, onCall }),
    gguf: bind(base, 'gguf_', GGUF, { absent, onCall }),
    registry: bind(registry, 'ggml_', REGISTRY, { absent, onCall }),
    parseGguf: bindParse(base, { absent, onCall }),
    initContext: bindInit(base, { absent, onCall }),
    symbol: (name: string) => base.symbol(name) as Pointer,
    cLibrary: process.platform === 'win32' ? undefined : bind(koffi.load(null), '', C_LIBRARY, { absent, onCall }),
    onCall,
  };
  if (absent.length) {
    throw new GgmlError(
      `openGgml: ${libraries.directory} holds another version of ggml, without ${absent.join(', ')}; ` +
        'install the version of @node-llama-cpp that this package names',
    );
  }
  return { ...native, ...openKernels(native) };
}

function open(file: string): LibraryHandle {
  try {
    return koffi.load(file);
  } catch (error) {
    const reason = isMusl() ? MUSL_ADVICE : (error as Error).message;
    throw new GgmlError(`openGgml: ${file} does not load: ${reason}`, { cause: error });
  }
}

/** Where there are none, ggml's own do the same, more slowly. */
function openKernels(native: Omit<Native, 'kernels' | 'assembler'>): Pick<Native, 'kernels' | 'assembler'> {
  const { file, mostLevel } = findKernels();
  if (file === undefined) return { kernels: undefined, assembler: undefined };
  const library = open(file);
  const absent: string[] = [];
  const functions = bind(library, 'sled_kernels_', KERNELS, { absent, onCall: native.onCall });
  if (absent.length) throw new GgmlError(`openGgml: ${file} is of another version, without ${absent.join(', ')}`);
  const assembler = new GraphAssembler(functions.assemble, native.symbol);
  const level = functions.supported(mostLevel);
  if (level === 0) return { kernels: undefined, assembler };
  const address = (name: string) => library.symbol(`sled_kernels_${name}`) as Pointer;
  const addresses = {
    product: address('product'),
    attention: address('attention'),
    norm: address('norm'),
    rmsNorm: address('rms_norm'),
    elu: address('elu'),
    help: address('help'),
  };
  return { kernels: new Kernels(native, { ...functions, ...addresses }, level), assembler };
}

interface Binding {
  /** Names of the functions that are missing. */
  readonly absent: string[];
  readonly onCall: CallWatcher | undefined;
}

function bind<T extends Record<string, Signature>>(
  library: LibraryHandle,
  prefix: string,
  table: T,
  { absent, onCall }: Binding,
): Functions<T> {
  const bound: Record<string, unknown> = {};
  for (const [name, [result, ...args]] of Object.entries(table) as [string, Signature][]) {
    const types = args.map((arg) => C_TYPES[arg]);
    try {
      bound[name] = watched(prefix + name, library.func(prefix + name, C_TYPES[result], types), onCall);
    } catch {
      absent.push(prefix + name);
    }
  }
  return bound as Functions<T>;
}

function bindInit(base: LibraryHandle, { absent, onCall }: Binding): Native['initContext'] {
  const parameters = koffi.struct({ mem_size: 'size_t', mem_buffer: 'void*', no_alloc: 'bool' });
  try {
    const init = watched('ggml_init', base.func('ggml_init', 'void*', [parameters]), onCall);
    return (bytes) => init({ mem_size: bytes, mem_buffer: null, no_alloc: true }) as Pointer | null;
  } catch {
    absent.push('ggml_init');
    return () => null;
  }
}

function bindParse(base: LibraryHandle, { absent, onCall }: Binding): Native['parseGguf'] {
  const parameters = koffi.struct({ no_alloc: 'bool', ctx: 'void*' });
  const name = 'gguf_init_from_buffer';
  try {
    const parse = watched(name, base.func(name, 'void*', ['void*', 'size_t', parameters]), onCall);
    return (header) => parse(header, header.byteLength, { no_alloc: true, ctx: null }) as Pointer | null;
  } catch {
    absent.push(name);
    return () => null;
  }
}
