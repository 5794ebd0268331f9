import { native } from './native.js';

/** A source of random numbers of its own, for the `generator` option of random operators. */
export class Generator {
  /** For this package only. */
  readonly number: number;

  constructor(seed: number) {
    this.number = native.createGenerator(seed);
  }

  manualSeed(seed: number): this {
    native.seed(this.number, seed);
    return this;
  }
}
