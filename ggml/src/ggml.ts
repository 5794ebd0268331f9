import { availableParallelism } from 'node:os';
import koffi from 'koffi';
import { Backend, listDevices, statusOf, type BackendOptions, type DeviceStatus, type FoundDevice } from './backend.js';
import { Context } from './context.js';
import { GgmlError } from './errors.js';
import { loadNative, type Native, type Pointer } from './native.js';
import { findLibraries, gpuAdvice, olderCuda } from './platform.js';
import { probe } from './probe.js';
import { dequantizeAsyncWith, dequantizeWith, quantizeAsyncWith, quantizeWith, type PackedType } from './quantize.js';
import { NE_OFFSET } from './tensor.js';
import { TENSOR_TYPE_NAMES, TENSOR_TYPES, type TensorType } from './tensor-type.js';
import type { CallWatcher } from './watch.js';
import { onWorker } from './worker.js';

export interface OpenOptions {
  /** Directory of ggml's shared libraries; default SLED_GGML_DIR, else the installed platform package. */
  readonly directory?: string;
  /**
   * Told of every native call that this thread waited for: what takes long must run on a worker thread. For benchmarks and
   * tests, and only where ggml is not open yet; without it calls cost nothing more.
   */
  readonly onCall?: CallWatcher;
}

// More rarely pays for single streams, and threads wait for each other by spinning: never more than there are cores.
const DEFAULT_THREADS = 4;

let opened: Ggml | undefined;
let opening: Promise<Ggml> | undefined;

/** Loads ggml, once a process. GgmlError says when it is missing, does not load, or is another version. */
export function openGgml(options: OpenOptions = {}): Ggml {
  const found = openLibraries(options);
  if (found instanceof Ggml) return found;
  const { backend_reg_count: count, backend_load_all_from_path: loadAll, backend_load: load } = found.native.registry;
  if (count() === 0) {
    loadAll(found.directory);
    const older = lacking(found);
    if (older !== undefined) load(older);
  }
  return finish(found);
}

/** openGgml() that loads the backends on a worker thread: some twenty libraries are tried, for tens of milliseconds. */
export function openGgmlAsync(options: OpenOptions = {}): Promise<Ggml> {
  if (opening) return opening.then(() => openGgml(options));
  opening = openOnWorker(options).finally(() => (opening = undefined));
  return opening;
}

async function openOnWorker(options: OpenOptions): Promise<Ggml> {
  const found = openLibraries(options);
  if (found instanceof Ggml) return found;
  const { backend_reg_count: count, backend_load_all_from_path: loadAll, backend_load: load } = found.native.registry;
  if (count() === 0) {
    await onWorker(loadAll, found.directory);
    const older = lacking(found);
    if (older !== undefined) await onWorker(load, older);
  }
  return finish(found);
}

interface OpenLibraries {
  readonly native: Native;
  readonly directory: string;
}

/** ggml where it is open already, else its libraries, checked, without backends. */
function openLibraries({ directory, onCall }: OpenOptions): Ggml | OpenLibraries {
  const libraries = findLibraries(directory);
  if (opened && onCall) throw new GgmlError('openGgml: ggml is open already; give onCall to the first openGgml()');
  if (opened?.directory === libraries.directory) return opened;
  // Two copies would find each other's symbols.
  if (opened)
    throw new GgmlError(`openGgml: ggml is open from ${opened.directory} already, not ${libraries.directory}`);
  const native = loadNative(libraries, onCall);
  verify(native);
  // ggml writes its diary to standard error; time_init ignores its arguments and does nothing that was not done before.
  if (!process.env.SLED_GGML_LOG) native.ggml.log_set(native.symbol('ggml_time_init'), null);
  return { native, directory: libraries.directory };
}

/** A backend to try where those of the directory found no GPU. */
const lacking = ({ native, directory }: OpenLibraries): string | undefined =>
  listDevices(native).some(({ kind }) => kind === 'gpu') ? undefined : olderCuda(directory);

function finish({ native, directory }: OpenLibraries): Ggml {
  if (native.registry.backend_dev_count() === 0) {
    throw new GgmlError(`openGgml: ${directory} holds no backend that this machine can run`);
  }
  // Another call may have been faster.
  opened ??= new Ggml(native, directory);
  return opened;
}

/** An opened ggml. */
export class Ggml {
  /** ggml's version, such as 0.25.1. */
  readonly version: string;

  /** Made by openGgml(). */
  constructor(
    readonly native: Native,
    readonly directory: string,
  ) {
    this.version = native.ggml.version();
  }

  /** The devices that ggml found: CPU always, GPUs with the packages that bring them. */
  devices(): DeviceStatus[] {
    return listDevices(this.native).map((device) => statusOf(this.native, device));
  }

  /** Makes a device ready: `cpu`, `gpu` (the first one), or a name that devices() lists. GgmlError names what there is. */
  backend(which: string = 'cpu', options: BackendOptions = {}): Backend {
    const device = this.#find(which);
    return this.#backendOf(device, this.native.ggml.backend_dev_init(device.pointer, null), options);
  }

  /**
   * backend() that starts the device on a worker thread, since a GPU's driver may take seconds, and that refuses a GPU whose driver
   * refuses ggml's kernels.
   */
  async backendAsync(which: string = 'cpu', options: BackendOptions = {}): Promise<Backend> {
    const device = this.#find(which);
    if (device.kind === 'gpu') await probe(this.directory, device.name);
    return this.#backendOf(device, await onWorker(this.native.ggml.backend_dev_init, device.pointer, null), options);
  }

  #find(which: string): FoundDevice {
    const devices = listDevices(this.native);
    const found = devices.find(({ kind, name }) => kind === which || name === which);
    if (found) return found;
    const names = devices.map((device) => `${device.name} (${device.kind})`).join(', ');
    const advice = which === 'gpu' ? `; ${gpuAdvice()}` : '';
    throw new GgmlError(`backend: expected a device of ${names}, got ${String(which)}${advice}`);
  }

  #backendOf({ pointer: devicePointer, ...device }: FoundDevice, pointer: Pointer | null, options: BackendOptions) {
    if (!pointer) throw new GgmlError(`backend: ${device.name} does not start`);
    const backend = new Backend(this.native, device, pointer, devicePointer, options);
    if (device.kind !== 'cpu') return backend;
    try {
      backend.setThreads(options.threads ?? Math.min(DEFAULT_THREADS, availableParallelism()));
    } catch (error) {
      backend.free();
      throw error;
    }
    return backend;
  }

  /** An empty context for weights or for the tensors of graphs. */
  context(): Context {
    return new Context(this.native);
  }

  /** Packs row-major floats, in rows of `columns`, into the bytes of `type`. */
  quantize(type: PackedType, values: Float32Array, columns: number): Uint8Array {
    return quantizeWith(this.native, type, values, columns);
  }

  /** quantize() on worker threads; `values` must not change until it resolves. */
  quantizeAsync(type: PackedType, values: Float32Array, columns: number): Promise<Uint8Array> {
    return quantizeAsyncWith(this.native, type, values, columns);
  }

  /** The floats of `count` elements packed as `type`. */
  dequantize(type: TensorType, packed: Uint8Array, count: number): Float32Array {
    return dequantizeWith(this.native, type, packed, count);
  }

  /** dequantize() on a worker thread; the bytes must not change until it resolves, and those of f32 may be shared. */
  dequantizeAsync(type: TensorType, packed: Uint8Array, count: number): Promise<Float32Array> {
    return dequantizeAsyncWith(this.native, type, packed, count);
  }
}

/** The layout of ggml's structs and types is not part of its interface: another build is refused before it is used. */
function verify(native: Native): void {
  const { ggml } = native;
  const wrong = TENSOR_TYPE_NAMES.filter((name) => {
    const { id, blockSize, blockBytes } = TENSOR_TYPES[name];
    const sameName = ggml.type_name(id).toLowerCase() === name.toLowerCase();
    return !sameName || ggml.blck_size(id) !== blockSize || ggml.type_size(id) !== blockBytes;
  });
  if (wrong.length) throw new GgmlError(`openGgml: this ggml has other types under the names ${wrong.join(', ')}`);
  const context = native.initContext(2 * ggml.tensor_overhead());
  const probe = context && ggml.new_tensor(context, TENSOR_TYPES.f16.id, 4, [2, 3, 4, 5]);
  if (!probe) throw new GgmlError('openGgml: ggml made no tensor');
  ggml.set_name(probe, 'probe');
  const layout = koffi.decode(probe, NE_OFFSET, 'int64_t', 8) as BigInt64Array;
  const name = koffi.decode.string(probe + NAME_OFFSET, 5);
  ggml.free(context);
  if (layout.join() !== '2,3,4,5,2,4,12,48' || name !== 'probe') {
    throw new GgmlError(`openGgml: ggml ${ggml.version()} lays out its tensors otherwise; install the version named`);
  }
}

/** Offset of `name` in struct ggml_tensor: everything between the buffer and it is as expected too. */
const NAME_OFFSET = 256n;
