import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What libtorch refuses: the first line of its message, with the operator's name in front. */
export class TorchError extends Error {
  override name = 'TorchError';
}

/** A typed array that a tensor can be made from or read into. */
export type NumericArray =
  Float32Array | Float64Array | BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array;

/** The addon's functions; tensors are handles, positive integers. See native/*.h for each. */
export interface Native {
  sharedBuffer(): Float64Array;
  setErrorClass(errorClass: typeof TorchError): void;
  find(name: string, overload: string): string;
  run(operator: number, argumentCount: number): number;
  intern(text: string): number;
  operatorNames(prefix: string): string;
  create(data: NumericArray, dtype: number, rank: number, copy: number): number;
  read(handle: number, into: NumericArray, dtype: number): void;
  item(handle: number): number;
  describe(handle: number): string;
  free(count: number): void;
  report(handle: number): void;
  externalMemory(): number;
  liveTensors(): number;
  backward(handle: number, gradient: number, retainGraph: number): void;
  grad(handle: number): number;
  setGrad(handle: number, gradient: number): void;
  requiresGrad(handle: number): boolean;
  setRequiresGrad(handle: number, value: number): void;
  setGradMode(enabled: number): boolean;
  enterAutocast(dtype: number): number;
  leaveAutocast(dtype: number): void;
  joinGroup(
    address: string,
    port: number,
    rank: number,
    size: number,
    timeoutMs: number,
    own: string,
    attempt: number,
  ): void;
  leaveGroup(): void;
  allReduce(handle: number): void;
  broadcast(handle: number, root: number): void;
  barrier(): void;
  createBuckets(count: number, bytes: number): number;
  armBuckets(): void;
  finishBuckets(): void;
  createGenerator(seed: number): number;
  freeGenerator(generator: number): void;
  seed(generator: number, seed: number): void;
  generatorState(generator: number): number;
  setGeneratorState(generator: number, handle: number): void;
  setNumThreads(count: number): void;
  getNumThreads(): number;
  setFlushDenormal(enabled: number): boolean;
  version(): string;
  builtWithCuda(): boolean;
  cudaDevices(): number;
  peakDeviceMemory(index: number): number;
  startProfile(): void;
  stopProfile(): string;
}

function load(): Native {
  // Waiting threads of libgomp spin unless told otherwise: with two threads on a busy two-core machine a step then took
  // four times the processor time. It reads this when libtorch is loaded. Spins of a few microseconds, until the next
  // operator comes, save its threads a sleep and lose nothing there.
  if (process.env['OMP_WAIT_POLICY'] === undefined) {
    process.env['OMP_WAIT_POLICY'] = 'PASSIVE';
    process.env['GOMP_SPINCOUNT'] ??= '500';
  }
  // libtorch prints what it also throws, with a page of C++ frames.
  process.env['TORCH_CPP_LOG_LEVEL'] ??= 'FATAL';
  const path = fileURLToPath(new URL('../build/torch.node', import.meta.url));
  try {
    return createRequire(import.meta.url)(path) as Native;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new Error(`libtorch is not set up: run \`npm run setup:torch\` (${reason})`, { cause: error });
  }
}

export const native = load();
native.setErrorClass(TorchError);

/** Arguments and results of every call travel through this memory, shared with the addon. */
export const buffer = native.sharedBuffer();
