import { noGrad, scope, setNumThreads, tensor } from '@sled-tts/torch';
import { describe, expect, it } from 'vitest';
import type { MelCodecConfig } from '../../../src/codec/mel/config.js';
import { MelCodec } from '../../../src/codec/mel/mel-codec.js';
import { TrainingDecoder } from '../../../src/train/codec/decoder.js';
import { randomCodecFiles, randomLatents } from './random-codec.js';
import { TINY } from './tiny.js';

setNumThreads(1);

const configs: [string, MelCodecConfig][] = [
  ['the tiny codec', TINY],
  ['no lookahead, a longer input kernel', { ...TINY, decoderLookahead: 0, decoderInputKernel: 4 }],
  ['two frames of lookahead, one block', { ...TINY, decoderLookahead: 2, decoderBlocks: 1, decoderKernel: 3 }],
  ['no source', { ...TINY, decoderSource: 'none' }],
  ['other sizes everywhere', { ...TINY, fftSize: 128, spectrumHopLength: 50, stackedFrames: 3, decoderWidth: 24 }],
];

describe('the mel decoder on ggml and on libtorch', () => {
  it.each(configs)('gives the same samples: %s', async (_, config) => {
    const files = randomCodecFiles(config, 3);
    const frames = 34;
    const latents = randomLatents(config, frames);
    const expected = noGrad(() =>
      scope(() => {
        const weights = new Map([...files.decoder!].map(([name, { shape, values }]) => [name, tensor(values, shape)]));
        return new TrainingDecoder(weights, config)
          .decode(tensor(latents, [1, frames, config.latentDim]))
          .toFloat32Array();
      }),
    );
    const codec = new MelCodec(files);
    const decoder = codec.createDecoder();
    const got = [...(await decoder.decode(latents)), ...(await decoder.flush())];
    codec.free();
    expect(got.length).toBe(expected.length);
    const peak = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(peak).toBeGreaterThan(0.05);
    const worst = got.reduce((most, x, n) => Math.max(most, Math.abs(x - expected[n])), 0);
    // Both are float32; sums of some hundred products differ in their order only.
    expect(worst / peak).toBeLessThan(1e-4);
  });
});
