/** Frames that every estimate counts of the whole corpus beside its own: rare sounds stay near what is usual. */
const PRIOR_FRAMES = 20;
/** Smallest variance, of that of the whole corpus. */
const VARIANCE_FLOOR = 0.02;

/** A normal distribution of frames [D] for each of K classes, with variances along the channels alone. */
export class Gaussians {
  /** [K, D] */
  readonly #means: Float64Array;
  /** [K, D]: 1 / variance. */
  readonly #precisions: Float64Array;
  /** [K]: log of what makes each sum to one. */
  readonly #constants: Float64Array;

  constructor(
    readonly classes: number,
    readonly channels: number,
  ) {
    this.#means = new Float64Array(classes * channels);
    this.#precisions = new Float64Array(classes * channels);
    this.#constants = new Float64Array(classes);
  }

  /** Writes the log likelihood of a frame, at `offset` of `values`, in the classes `wanted` to `out` [classes]. */
  score(values: Float32Array, offset: number, wanted: ArrayLike<number>, out: Float64Array): void {
    const { channels: D } = this;
    for (let i = 0; i < wanted.length; i++) {
      const at = wanted[i] * D;
      let sum = this.#constants[wanted[i]];
      for (let d = 0; d < D; d++)
        sum -= 0.5 * (values[offset + d] - this.#means[at + d]) ** 2 * this.#precisions[at + d];
      out[wanted[i]] = sum;
    }
  }

  /** Takes what was gathered; classes without frames become what is usual. */
  fit(statistics: Statistics): void {
    const { channels: D } = this;
    const all = statistics.total();
    for (let k = 0; k < this.classes; k++) {
      const count = statistics.counts[k];
      let logVariances = 0;
      for (let d = 0; d < D; d++) {
        const [sum, squares] = [statistics.sums[k * D + d], statistics.squares[k * D + d]];
        const mean = (sum + PRIOR_FRAMES * all.mean[d]) / (count + PRIOR_FRAMES);
        const second = (squares + PRIOR_FRAMES * (all.variance[d] + all.mean[d] ** 2)) / (count + PRIOR_FRAMES);
        const variance = Math.max(second - mean * mean, VARIANCE_FLOOR * all.variance[d], 1e-12);
        this.#means[k * D + d] = mean;
        this.#precisions[k * D + d] = 1 / variance;
        logVariances += Math.log(variance);
      }
      this.#constants[k] = -0.5 * (logVariances + D * Math.log(2 * Math.PI));
    }
  }
}

/** Sums of frames by class, and of their squares. */
export class Statistics {
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  readonly squares: Float64Array;

  constructor(
    private readonly classes: number,
    private readonly channels: number,
  ) {
    this.counts = new Float64Array(classes);
    this.sums = new Float64Array(classes * channels);
    this.squares = new Float64Array(classes * channels);
  }

  add(frames: Float32Array, offset: number, of: number): void {
    this.counts[of]++;
    for (let d = 0; d < this.channels; d++) {
      const x = frames[offset + d];
      this.sums[of * this.channels + d] += x;
      this.squares[of * this.channels + d] += x * x;
    }
  }

  /** Mean and variance [D] of all frames. */
  total(): { mean: Float64Array; variance: Float64Array } {
    const { classes, channels: D } = this;
    const count = Math.max(1, this.counts.reduce((sum, n) => sum + n, 0)); // prettier-ignore
    const over = (values: Float64Array, d: number) => {
      let sum = 0;
      for (let k = 0; k < classes; k++) sum += values[k * D + d];
      return sum / count;
    };
    const mean = Float64Array.from({ length: D }, (_, d) => over(this.sums, d));
    return { mean, variance: mean.map((m, d) => over(this.squares, d) - m * m) };
  }
}
