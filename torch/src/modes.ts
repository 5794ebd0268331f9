import { dtypeCode, type DType } from './dtype.js';
import { wrap } from './dispatch.js';
import { native } from './native.js';
import { scope } from './memory.js';
import { checkSeed } from './random.js';
import { tensor } from './create.js';

/** Runs `fn` without recording operators for gradients. */
export function noGrad<T>(fn: () => T): T {
  const before = native.setGradMode(0);
  try {
    return fn();
  } finally {
    native.setGradMode(Number(before));
  }
}

/** Runs `fn` recording for gradients, inside `noGrad`. */
export function enableGrad<T>(fn: () => T): T {
  const before = native.setGradMode(1);
  try {
    return fn();
  } finally {
    native.setGradMode(Number(before));
  }
}

/**
 * Runs `fn` with matrix products and convolutions in `dtype` and what is sensitive in float32; null turns it off
 * inside. Parameters are cast once; the outermost autocast forgets the casts when it ends.
 */
export function autocast<T>(dtype: Extract<DType, 'bfloat16' | 'float16'> | null, fn: () => T): T {
  const before = native.enterAutocast(dtype === null ? -1 : dtypeCode(dtype));
  try {
    return fn();
  } finally {
    native.leaveAutocast(before);
  }
}

const DEFAULT_GENERATOR = 0;

/** Seeds the default generator, and those of GPUs. */
export function manualSeed(seed: number): void {
  native.seed(DEFAULT_GENERATOR, checkSeed(seed));
}

/** The whole state of the default generator, for checkpoints; not of those of GPUs. */
export function getRngState(): Uint8Array {
  return scope(() => wrap(native.generatorState(DEFAULT_GENERATOR)).toTypedArray()) as Uint8Array;
}

/** Puts the default generator where `getRngState` found it. */
export function setRngState(state: Uint8Array): void {
  scope(() => native.setGeneratorState(DEFAULT_GENERATOR, tensor(state).handle));
}

/** Threads of one operator. */
export function setNumThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`setNumThreads: expected 1 or more, got ${count}`);
  native.setNumThreads(count);
}

export function getNumThreads(): number {
  return native.getNumThreads();
}

/** Treats floats too small for full precision as zero, which many processors compute much faster; false where it cannot. */
export function setFlushDenormal(enabled: boolean): boolean {
  return native.setFlushDenormal(Number(enabled));
}

/** libtorch's version, as in `2.11.0`. */
export function version(): string {
  return native.version();
}
