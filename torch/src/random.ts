import { native } from './native.js';

const collected = new FinalizationRegistry<number>((number) => native.freeGenerator(number));

/** A seed as libtorch takes it; throws a RangeError for anything but a whole number from 0 to 2^53 - 1. */
export function checkSeed(seed: number): number {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`seed: expected 0 … 2^53 - 1, got ${seed}`);
  return seed;
}

/** A source of random numbers of its own, for the `generator` option of random operators. */
export class Generator {
  /** For this package only. */
  readonly number: number;

  constructor(seed: number) {
    this.number = native.createGenerator(checkSeed(seed));
    collected.register(this, this.number);
  }

  manualSeed(seed: number): this {
    native.seed(this.number, checkSeed(seed));
    return this;
  }
}
