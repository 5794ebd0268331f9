import { hannWindow } from './log-mel.js';

/**
 * Row k of the windowed inverse real Fourier transform, [fftSize / 2 + 1 real parts, then as many imaginary ones]:
 *
 * x[n] = w[n] / size * (re[0] + 2 sum_k (re[k] cos(2 pi k n / size) - im[k] sin(2 pi k n / size)) + re[size/2] (-1)^n)
 *
 * @returns [fftSize, fftSize + 2], row-major, sample by coefficient.
 */
export function inverseBasis(fftSize: number): Float32Array {
  const bins = fftSize / 2 + 1;
  const window = hannWindow(fftSize);
  const cosines = Float64Array.from({ length: fftSize }, (_, i) => Math.cos((2 * Math.PI * i) / fftSize));
  const sines = Float64Array.from({ length: fftSize }, (_, i) => Math.sin((2 * Math.PI * i) / fftSize));
  const basis = new Float32Array(fftSize * 2 * bins);
  for (let n = 0; n < fftSize; n++) {
    const row = n * 2 * bins;
    for (let k = 0; k < bins; k++) {
      const isEdge = k === 0 || k === bins - 1;
      const weight = ((isEdge ? 1 : 2) * window[n]) / fftSize;
      const turn = (k * n) % fftSize;
      basis[row + k] = weight * cosines[turn];
      // The transform of a real signal has real first and last coefficients; imaginary parts there are ignored.
      basis[row + bins + k] = isEdge ? 0 : -weight * sines[turn];
    }
  }
  return basis;
}

/**
 * Adds windowed frames `hop` samples apart and divides by the sum of the squared windows, as torch.istft with
 * center=True does; a sample leaves as soon as no later frame touches it.
 */
export class OverlapAdd {
  private readonly sums: Float64Array;
  private readonly weights: Float64Array;
  private readonly squares: Float64Array;
  /** Samples to drop: frame 0 is centred on sample 0. */
  private toDrop: number;
  private frames = 0;
  private emitted = 0;

  constructor(
    private readonly fftSize: number,
    private readonly hop: number,
  ) {
    this.sums = new Float64Array(fftSize);
    this.weights = new Float64Array(fftSize);
    this.squares = hannWindow(fftSize).map((w) => w * w);
    this.toDrop = fftSize / 2;
  }

  /** Windowed frames [F, fftSize] -> the samples that are now certain. */
  add(frames: Float32Array): Float32Array {
    const { fftSize, hop, sums, weights, squares } = this;
    const count = frames.length / fftSize;
    const out = new Float32Array(count * hop);
    let length = 0;
    for (let f = 0; f < count; f++) {
      for (let n = 0; n < fftSize; n++) {
        sums[n] += frames[f * fftSize + n];
        weights[n] += squares[n];
      }
      const skip = Math.min(this.toDrop, hop);
      this.toDrop -= skip;
      for (let n = skip; n < hop; n++) out[length++] = sums[n] / weights[n];
      sums.copyWithin(0, hop).fill(0, fftSize - hop);
      weights.copyWithin(0, hop).fill(0, fftSize - hop);
    }
    this.frames += count;
    this.emitted += length;
    return out.slice(0, length);
  }

  /** The rest, up to frames * hop samples in total. */
  flush(): Float32Array {
    const rest = new Float32Array(this.frames * this.hop - this.emitted);
    for (let n = 0; n < rest.length; n++) rest[n] = this.sums[this.toDrop + n] / this.weights[this.toDrop + n];
    this.emitted += rest.length;
    return rest;
  }
}
