/** A native function with its form that runs on a worker thread. */
interface AsyncCall<A extends unknown[], R> {
  readonly async: (...args: [...A, (error: Error | null, result: R) => void]) => void;
}

/** Runs a native function on one of koffi's worker threads; what it reads and writes must stay as it is until it resolves. */
export function onWorker<A extends unknown[], R>(call: AsyncCall<A, R>, ...args: A): Promise<R> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
