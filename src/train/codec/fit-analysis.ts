import { padToFrames, latentFrames, stackFrames, type LinearMap } from '../../codec/mel/analysis.js';
import { stackedDimOf, type MelCodecConfig } from '../../codec/mel/config.js';
import type { LatentStatistics } from '../../codec/mel/files.js';
import { LogMel } from '../../codec/mel/log-mel.js';
import type { SpeechCorpus, Utterance } from './corpus.js';
import { symmetricEigen } from './eigen.js';

/** A fitted analysis and how well it does. */
export interface FittedAnalysis {
  readonly map: LinearMap;
  readonly statistics: LatentStatistics;
  /** Share of the stacked log-mel variance that the latents keep. */
  readonly explained: number;
  /** Latent frames the fit saw. */
  readonly frames: number;
}

export interface FitOptions {
  /** Latent frames to look at, from utterances evenly spaced over the corpus; 100,000 are 67 minutes at 25 Hz. */
  maxFrames?: number;
}

/** Fits the linear map of a mel codec: the principal components of stacked log-mel frames, one scale for all. */
export function fitAnalysis(corpus: SpeechCorpus, config: MelCodecConfig, options: FitOptions = {}): FittedAnalysis {
  const { maxFrames = 100_000 } = options;
  const chosen = spacedUtterances(corpus.utterances, config, maxFrames);
  const moments = accumulate(corpus, chosen, config);
  const [S, D] = [stackedDimOf(config), config.latentDim];
  if (moments.count <= D)
    throw new RangeError(`fitAnalysis: expected more than ${D} latent frames, got ${moments.count}`);
  const { values, vectors } = symmetricEigen(moments.covariance, S);
  const kept = values.subarray(0, D).reduce((a, b) => a + b, 0);
  const map: LinearMap = {
    mean: Float32Array.from(moments.mean),
    basis: Float32Array.from(vectors.subarray(0, D * S)),
    scale: Math.fround(Math.sqrt(kept / D)),
  };
  const total = values.reduce((a, b) => a + b, 0);
  // Principal components have mean 0 and their eigenvalue as variance, by construction.
  const std = Float32Array.from(values.subarray(0, D), (variance) => Math.sqrt(variance) / map.scale);
  return { map, statistics: { mean: new Float32Array(D), std }, explained: kept / total, frames: moments.count };
}

/** Every k-th utterance, so that about `maxFrames` latent frames are covered. */
function spacedUtterances(all: readonly Utterance[], config: MelCodecConfig, maxFrames: number): Utterance[] {
  const frames = all.reduce((sum, { numSamples }) => sum + latentFrames(config, numSamples), 0);
  const stride = Math.max(1, frames / maxFrames);
  return Array.from({ length: Math.ceil(all.length / stride) }, (_, i) => all[Math.floor(i * stride)]);
}

interface Moments {
  readonly count: number;
  /** [S] */
  readonly mean: Float64Array;
  /** [S, S] */
  readonly covariance: Float64Array;
}

/** Mean and covariance of the stacked frames, summed in float64 around the first frame (which keeps digits). */
function accumulate(corpus: SpeechCorpus, utterances: readonly Utterance[], config: MelCodecConfig): Moments {
  const S = stackedDimOf(config);
  const logMel = new LogMel(config);
  const x = new Float64Array(S);
  const origin = new Float64Array(S);
  const sum = new Float64Array(S);
  const products = new Float64Array(S * S);
  let count = 0;
  for (const utterance of utterances) {
    const padded = padToFrames(config, corpus.read(utterance));
    for (let t = 0; t < latentFrames(config, padded.length); t++) {
      stackFrames(logMel, padded, t, x);
      if (count++ === 0) origin.set(x);
      addProducts(x, origin, sum, products);
    }
  }
  const covariance = new Float64Array(S * S);
  for (let i = 0; i < S; i++) {
    for (let j = 0; j <= i; j++) {
      const value = products[i * S + j] / count - (sum[i] / count) * (sum[j] / count);
      covariance[i * S + j] = covariance[j * S + i] = value;
    }
  }
  return { count, mean: sum.map((s, i) => origin[i] + s / count), covariance };
}

/** x - origin is added to `sum`, its lower-triangular outer product to `products`. */
function addProducts(x: Float64Array, origin: Float64Array, sum: Float64Array, products: Float64Array): void {
  const S = x.length;
  for (let i = 0; i < S; i++) {
    const xi = (x[i] -= origin[i]);
    sum[i] += xi;
    const row = i * S;
    for (let j = 0; j <= i; j++) products[row + j] += xi * x[j];
  }
}
