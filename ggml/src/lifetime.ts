import { GgmlError } from './errors.js';

/** What may be alive natively; tests count them to find leaks. */
export type NativeKind = 'backend' | 'context' | 'buffer' | 'graph' | 'tensor';

const live: Record<NativeKind, number> = { backend: 0, context: 0, buffer: 0, graph: 0, tensor: 0 };

/** Native objects that are alive now, by kind. */
export const liveObjects = (): Readonly<Record<NativeKind, number>> => ({ ...live });

/** Counts tensors that a context made, or took with it when it was freed. */
export function countTensors(change: number): void {
  live.tensor += change;
}

interface Release {
  kind: NativeKind;
  run: (() => void) | undefined;
}

function release(handle: Release): void {
  const { run } = handle;
  if (!run) return;
  handle.run = undefined;
  live[handle.kind]--;
  run();
}

// The safety net for owners that forgot free(): the finaliser must not reference the owner, only its pointers.
const registry = new FinalizationRegistry<Release>(release);

/** Base of every object that owns native memory: `free()` once, use after it is an error, freeing in use is an error. */
export abstract class NativeOwner {
  readonly #handle: Release;
  readonly #label: string;
  /** Computations, running or queued, that touch this object. */
  users = 0;

  /** `destroy` must not close over the owner, or it would never be collected. */
  protected constructor(kind: NativeKind, label: string, destroy: () => void) {
    this.#label = label;
    this.#handle = { kind, run: destroy };
    live[kind]++;
    registry.register(this, this.#handle, this.#handle);
  }

  /** True after free(). */
  get freed(): boolean {
    return this.#handle.run === undefined;
  }

  /** Throws a GgmlError when this object was freed. */
  assertAlive(where: string): void {
    if (this.#handle.run === undefined) throw new GgmlError(`${where}: this ${this.#label} was freed`);
  }

  /** Throws a GgmlError when a computation that touches this object is running or queued. */
  assertIdle(where: string): void {
    if (this.users) {
      throw new GgmlError(`${where}: this ${this.#label} is in use by a computation; await it first`);
    }
  }

  /** Releases the native memory; a second call does nothing, a call during a computation is a GgmlError. */
  free(): void {
    if (this.freed) return;
    this.assertIdle('free');
    registry.unregister(this.#handle);
    release(this.#handle);
  }

  /** Marks this object as freed without releasing anything: for owners that release on a worker thread. False if it was. */
  protected surrender(): boolean {
    if (this.freed) return false;
    this.assertIdle('freeAsync');
    registry.unregister(this.#handle);
    this.#handle.run = undefined;
    live[this.#handle.kind]--;
    return true;
  }

  [Symbol.dispose](): void {
    this.free();
  }
}
