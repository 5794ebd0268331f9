import type { LinearMap } from '../../../src/codec/mel/analysis.js';
import { stackedDimOf, type MelCodecConfig } from '../../../src/codec/mel/config.js';
import { decoderShapes, type WeightArray } from '../../../src/codec/mel/decoder-weights.js';
import type { MelCodecFiles } from '../../../src/codec/mel/files.js';
import { lcg } from './tiny.js';

/** Any linear map; it need not be orthonormal for what the tests ask. */
export function randomMap(config: MelCodecConfig, seed: number): LinearMap {
  const [random, S] = [lcg(seed), stackedDimOf(config)];
  const array = (length: number) => Float32Array.from({ length }, random);
  return { mean: array(S), basis: array(S * config.latentDim), scale: 2 };
}

/** Decoder weights of a size at which every part of the network matters. */
export function randomDecoder(config: MelCodecConfig, seed: number): Map<string, WeightArray> {
  const random = lcg(seed);
  return new Map(
    [...decoderShapes(config)].map(([name, shape]) => {
      const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
      const size = shape.length === 1 ? 0.5 : 1.5 / Math.sqrt(fanIn);
      const values = Float32Array.from({ length: shape[0] * fanIn }, () => random() * size);
      return [name, { shape, values }];
    }),
  );
}

/** A whole codec of random weights. */
export function randomCodecFiles(config: MelCodecConfig, seed = 1): MelCodecFiles {
  const D = config.latentDim;
  const statistics = { mean: new Float32Array(D), std: new Float32Array(D).fill(1) };
  return { config, map: randomMap(config, seed), statistics, decoder: randomDecoder(config, seed + 1) };
}

/** Random latents [frames, D]. */
export function randomLatents(config: MelCodecConfig, frames: number, seed = 9): Float32Array {
  return Float32Array.from({ length: frames * config.latentDim }, lcg(seed));
}
