import { DEFAULT_MEL_CODEC_CONFIG, type MelCodecConfig } from '../../../src/codec/mel/config.js';

/** A mel codec small enough to fit and run in milliseconds. */
export const TINY: MelCodecConfig = {
  ...DEFAULT_MEL_CODEC_CONFIG,
  sampleRate: 8000,
  fftSize: 256,
  spectrumHopLength: 60,
  melBins: 20,
  maxFrequency: 4000,
  latentDim: 12,
  decoderWidth: 16,
  decoderBlocks: 2,
  decoderKernel: 5,
  decoderExpansion: 2,
};

/** Small deterministic numbers in [-1, 1): the generator of Numerical Recipes. */
export function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Something like speech: a gliding tone with overtones and noise, in bursts. */
export function babble(length: number, sampleRate: number, seed = 1): Float32Array {
  const random = lcg(seed);
  let phase = 0;
  return Float32Array.from({ length }, (_, n) => {
    const seconds = n / sampleRate;
    phase += (2 * Math.PI * (150 + 60 * Math.sin(5 * seconds + seed))) / sampleRate;
    const burst = Math.max(0, Math.sin(9 * seconds + seed)) ** 2;
    const tone = Math.sin(phase) + 0.5 * Math.sin(2 * phase) + 0.3 * Math.sin(5 * phase);
    return 0.2 * burst * tone + 0.02 * random();
  });
}
