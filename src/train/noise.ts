import { cat, Generator, manualSeed, moveTo, rand, randn, type Tensor } from '@sled-tts/torch';
import { Random } from '../data/random.js';
import { STREAMS } from './random-streams.js';

/** Noise of a part of a step. Letters: M real frames, N noise, D latent. */
export interface StepNoise {
  /** The energy head's two noises, each [M, N]. */
  noise: readonly [Tensor, Tensor];
  /** What the input frames are perturbed with, [M, D]; null without. */
  inputNoise: Tensor | null;
}

export interface NoiseOptions {
  seed: number;
  step: number;
  noiseDim: number;
  latentDim: number;
  /** Each utterance's deviation is drawn from [0, this). */
  latentNoise: number;
  /** Where the noise goes; the CPU draws it, so that it is the same on every device. */
  device?: string;
}

/** 53 bits that name a stream of libtorch's. */
function seedOf(...key: number[]): number {
  const random = new Random(...key);
  return random.bits() * 2 ** 21 + (random.bits() >>> 11);
}

/**
 * Each utterance's noise comes from (seed, step, its place in the step), so that a step is the same whoever computes it.
 * @param places of the utterances in the step's batch
 * @param frames of each
 */
export function drawNoise(places: readonly number[], frames: readonly number[], options: NoiseOptions): StepNoise {
  const { seed, step, noiseDim, latentDim, latentNoise, device = 'cpu' } = options;
  const generator = new Generator(0);
  const parts = places.map((place, i) => {
    generator.manualSeed(seedOf(seed, STREAMS.noise, step, place));
    const both = randn([2, frames[i], noiseDim], { generator });
    if (latentNoise === 0) return { both, input: null };
    // deviation * N(0, 1), one deviation an utterance
    const deviation = rand([1, 1], { generator }).mul(latentNoise);
    return { both, input: randn([frames[i], latentDim], { generator }).mul(deviation) };
  });
  const pairs = parts.map(({ both }) => both);
  const all = moveTo(cat(pairs, 1), device); // [2, M, N]
  const inputs = parts.flatMap(({ input }) => (input ? [input] : []));
  return {
    noise: [all.select(0, 0), all.select(0, 1)],
    inputNoise: inputs.length > 0 ? moveTo(cat(inputs, 0), device) : null,
  };
}

/** Seeds dropout for one part of a step. */
export function seedDropout(seed: number, step: number, part: number): void {
  manualSeed(seedOf(seed, STREAMS.dropout, step, part));
}
