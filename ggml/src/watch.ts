import koffi from 'koffi';

/** A native function that ran in the calling thread. */
export interface NativeCall {
  /** C name, such as ggml_backend_tensor_set. */
  readonly name: string;
  readonly milliseconds: number;
  /** Of them, those in which the thread had a processor, where the system tells: the rest it waited for one. */
  readonly processorMilliseconds: number;
  /** What it was called with, addresses as bigint. */
  readonly args: readonly unknown[];
}

/** Told of every synchronous native call after it returned. */
export type CallWatcher = (call: NativeCall) => void;

// koffi's functions: called in this thread, or by their `async` on a worker thread.
type Bound = ((...args: never[]) => unknown) & { async?: unknown };

const THREAD_TIME = 3; // Linux's CLOCK_THREAD_CPUTIME_ID

/** Milliseconds for which this thread has had a processor; of the clock on the wall where the system does not tell. */
const threadTime = ((): (() => number) => {
  if (process.platform !== 'linux') return () => performance.now();
  let clock: ((which: number, time: BigInt64Array) => number) | undefined;
  const time = new BigInt64Array(2); // seconds, nanoseconds
  return () => {
    clock ??= koffi.load(null).func('int clock_gettime(int which, _Out_ int64_t *time)') as unknown as typeof clock;
    clock!(THREAD_TIME, time);
    return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
  };
})();

/** `call` itself without a watcher: not being watched costs nothing. Calls of `async` are not watched, being off the thread. */
export function watched<F extends Bound>(name: string, call: F, onCall: CallWatcher | undefined): F {
  if (!onCall) return call;
  const reporting = (...args: never[]): unknown => {
    const began = threadTime();
    const begin = performance.now();
    try {
      return call(...args);
    } finally {
      const milliseconds = performance.now() - begin;
      onCall({ name, milliseconds, processorMilliseconds: threadTime() - began, args });
    }
  };
  return Object.assign(reporting, { async: call.async }) as unknown as F;
}
