import { logFloat32, sincosFloat32 } from './cephes.js';
import { MersenneTwister } from './mersenne-twister.js';

const MAX_SEED = 2 ** 32 - 1;
/** Sizes from here on are drawn in blocks of sixteen by PyTorch's vector kernel. */
const BLOCK = 16;
const HALF = BLOCK / 2;
const TWO_PI = Math.fround(2 * Math.PI);

/** Where draws come from: one generator a stream, so that a stream's neighbours do not change it. */
export interface NoiseSource {
  /** [n] standard normal samples, float32. */
  randn(n: number): Float32Array;
  /** What the next `count` calls of randn(n) will give, without taking it. */
  peek(n: number, count: number): Float32Array[];
}

/** The same noise with another deviation; 1 leaves it as it is. */
export const scaledNoise = (noise: NoiseSource, deviation: number): NoiseSource => {
  if (deviation === 1) return noise;
  const scaled = (samples: Float32Array) => samples.map((x) => x * deviation);
  return { randn: (n) => scaled(noise.randn(n)), peek: (n, count) => noise.peek(n, count).map(scaled) };
};

/**
 * PyTorch's CPU generator: the samples of `torch.manual_seed(seed)` followed by the same `torch.rand` and `torch.randn` calls,
 * float32, bit for bit as on a CPU with AVX2 (other CPUs differ in the last bit of some normal samples).
 * Source: ATen's CPUGeneratorImpl and DistributionTemplates, 2.5.1.
 */
export class TorchRandom implements NoiseSource {
  #engine: MersenneTwister;
  /** The second normal of a pair that the one-by-one path has not handed out yet. */
  #spare: number | undefined;

  /** @throws {RangeError} unless the seed is an integer in [0, 2^32). */
  constructor(seed: number) {
    checkSeed(seed);
    this.#engine = new MersenneTwister(seed);
  }

  /** [n] uniform samples in [0, 1). */
  rand(n: number): Float32Array {
    return this.#uniform(new Float32Array(n));
  }

  /** [n] standard normal samples. */
  randn(n: number): Float32Array {
    const samples = new Float32Array(n);
    if (n < BLOCK) return samples.map(() => this.#normal());
    this.#uniform(samples);
    for (let start = 0; start + BLOCK <= n; start += BLOCK) boxMuller(samples.subarray(start, start + BLOCK));
    // A rest of fewer than sixteen: the last sixteen are drawn anew, over samples that were finished.
    if (n % BLOCK !== 0) boxMuller(this.#uniform(samples.subarray(n - BLOCK)));
    return samples;
  }

  /** What the next `count` calls of randn(n) will give, without taking it. */
  peek(n: number, count: number): Float32Array[] {
    const [engine, spare] = [this.#engine, this.#spare];
    this.#engine = engine.copy();
    const samples = Array.from({ length: count }, () => this.randn(n));
    [this.#engine, this.#spare] = [engine, spare];
    return samples;
  }

  #uniform(out: Float32Array): Float32Array {
    for (let i = 0; i < out.length; i++) out[i] = (this.#engine.bits32() & 0xffffff) / 2 ** 24;
    return out;
  }

  /** One sample of the path for small sizes, which computes in double and makes two at a time. */
  #normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const angle = 2 * Math.PI * this.#uniformDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniformDouble()));
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  #uniformDouble(): number {
    const high = this.#engine.bits32() & 0x1fffff;
    return (high * 2 ** 32 + this.#engine.bits32()) / 2 ** 53;
  }
}

/** Sixteen uniform samples become normal in place: i and i + 8 are a pair. */
function boxMuller(block: Float32Array): void {
  for (let i = 0; i < HALF; i++) {
    const radius = Math.fround(Math.sqrt(Math.fround(-2 * logFloat32(Math.fround(1 - block[i])))));
    const { sine, cosine } = sincosFloat32(Math.fround(TWO_PI * block[i + HALF]));
    block[i] = radius * cosine;
    block[i + HALF] = radius * sine;
  }
}

/** @throws {RangeError} unless the seed is an integer in [0, 2^32). */
export function checkSeed(seed: number): void {
  if (!Number.isInteger(seed) || seed < 0 || seed > MAX_SEED)
    throw new RangeError(`seed: expected an integer from 0 to ${MAX_SEED}, got ${seed}`);
}
