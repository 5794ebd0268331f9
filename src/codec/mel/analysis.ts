import { hopLengthOf, stackedDimOf, type MelCodecConfig } from './config.js';
import { LogMel } from './log-mel.js';

/** The fixed linear map from stacked log-mel frames (S = melBins * stackedFrames) to latents. */
export interface LinearMap {
  /** [S] */
  readonly mean: Float32Array;
  /** [D, S], orthonormal rows. */
  readonly basis: Float32Array;
  /** What projections are divided by, so that the mean variance of a latent channel is one. */
  readonly scale: number;
}

/** Latent frames that `sampleCount` samples fill, the last one padded with silence. */
export function latentFrames(config: MelCodecConfig, sampleCount: number): number {
  return Math.ceil(sampleCount / hopLengthOf(config));
}

/** Samples to latents: (log-mel, stacked - mean) x basis / scale. */
export class MelAnalysis {
  private readonly logMel: LogMel;
  private readonly stacked: Float64Array;

  constructor(
    readonly config: MelCodecConfig,
    readonly map: LinearMap,
  ) {
    const [S, D] = [stackedDimOf(config), config.latentDim];
    if (map.mean.length !== S || map.basis.length !== D * S) {
      throw new RangeError(
        `mel analysis: expected mean [${S}] and basis [${D}, ${S}], got ${map.mean.length} and ${map.basis.length} values`,
      );
    }
    this.logMel = new LogMel(config);
    this.stacked = new Float64Array(S);
  }

  /** Mono samples [N] -> latents [ceil(N / hopLength), D]. */
  encode(samples: Float32Array): Float32Array {
    return this.encodeRange(samples, 0, latentFrames(this.config, samples.length));
  }

  /** Latent frames [from, from + count) of the whole signal `samples` [N] -> [count, D]. */
  encodeRange(samples: Float32Array, from: number, count: number): Float32Array {
    const D = this.config.latentDim;
    const padded = padToFrames(this.config, samples);
    const latents = new Float32Array(count * D);
    for (let t = 0; t < count; t++) {
      stackFrames(this.logMel, padded, from + t, this.stacked);
      this.project(latents.subarray(t * D, (t + 1) * D));
    }
    return latents;
  }

  private project(out: Float32Array): void {
    const { stacked } = this;
    const { mean, basis, scale } = this.map;
    for (let s = 0; s < stacked.length; s++) stacked[s] -= mean[s];
    for (let d = 0; d < out.length; d++) out[d] = dot(basis, d * stacked.length, stacked) / scale;
  }
}

/** a[offset...] . b in four interleaved sums: a single one would wait for each addition and take three times as long. */
function dot(a: Float32Array, offset: number, b: Float64Array): number {
  const whole = b.length - (b.length % 4);
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let i = 0; i < whole; i += 4) {
    s0 += a[offset + i] * b[i];
    s1 += a[offset + i + 1] * b[i + 1];
    s2 += a[offset + i + 2] * b[i + 2];
    s3 += a[offset + i + 3] * b[i + 3];
  }
  for (let i = whole; i < b.length; i++) s0 += a[offset + i] * b[i];
  return s0 + s1 + (s2 + s3);
}

/** Writes the stacked log-mel frames of latent frame `t` to `out` [S]; `padded` is a whole number of frames long. */
export function stackFrames(logMel: LogMel, padded: Float32Array, t: number, out: Float64Array): void {
  const { stackedFrames, melBins } = logMel.config;
  for (let k = 0; k < stackedFrames; k++) {
    logMel.frame(padded, t * stackedFrames + k, out.subarray(k * melBins, (k + 1) * melBins));
  }
}

/** `samples` [N] with silence appended up to a whole number of latent frames. */
export function padToFrames(config: MelCodecConfig, samples: Float32Array): Float32Array {
  const length = latentFrames(config, samples.length) * hopLengthOf(config);
  if (length === samples.length) return samples;
  const padded = new Float32Array(length);
  padded.set(samples);
  return padded;
}
