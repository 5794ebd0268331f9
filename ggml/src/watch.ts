/** A native function that ran in the calling thread. */
export interface NativeCall {
  /** C name, such as ggml_backend_tensor_set. */
  readonly name: string;
  readonly milliseconds: number;
  /** What it was called with, addresses as bigint. */
  readonly args: readonly unknown[];
}

/** Told of every synchronous native call after it returned. */
export type CallWatcher = (call: NativeCall) => void;

// koffi's functions: called in this thread, or by their `async` on a worker thread.
type Bound = ((...args: never[]) => unknown) & { async?: unknown };

/** `call` itself without a watcher: not being watched costs nothing. Calls of `async` are not watched, being off the thread. */
export function watched<F extends Bound>(name: string, call: F, onCall: CallWatcher | undefined): F {
  if (!onCall) return call;
  const reporting = (...args: never[]): unknown => {
    const begin = performance.now();
    try {
      return call(...args);
    } finally {
      onCall({ name, milliseconds: performance.now() - begin, args });
    }
  };
  return Object.assign(reporting, { async: call.async }) as unknown as F;
}
