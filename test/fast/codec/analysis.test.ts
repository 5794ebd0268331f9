import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { latentFrames, MelAnalysis } from '../../../src/codec/mel/analysis.js';
import { DEFAULT_MEL_CODEC_CONFIG, parseMelCodecConfig, stackedDimOf } from '../../../src/codec/mel/config.js';
import { LogMel, melFilterBank } from '../../../src/codec/mel/log-mel.js';
import { randomMap } from './random-codec.js';
import { babble, TINY } from './tiny.js';

const golden = JSON.parse(readFileSync(new URL('golden/log-mel.json', import.meta.url), 'utf8')) as {
  samples: number[];
  frames: number[][];
};

describe('log-mel frames', () => {
  it('equal those of torch.stft, mirrored ends included', () => {
    const logMel = new LogMel(TINY);
    const samples = Float32Array.from(golden.samples);
    const out = new Float64Array(TINY.melBins);
    golden.frames.forEach((expected, f) => {
      logMel.frame(samples, f, out);
      // Samples are rounded to float32 (6e-8), which the logarithm of a small value magnifies.
      expected.forEach((value, m) => expect(Math.abs(out[m] - value)).toBeLessThan(1e-4));
    });
  });

  it('are the logarithm of the floor for digital silence', () => {
    const out = new Float64Array(TINY.melBins);
    new LogMel(TINY).frame(new Float32Array(480), 3, out);
    expect([...out]).toEqual(Array(TINY.melBins).fill(Math.log(TINY.spectrumFloor)));
  });

  it('come from filters that each sum to one and leave no bin below the top unheard', () => {
    const heard = new Set<number>();
    for (const { firstBin, weights } of melFilterBank(DEFAULT_MEL_CODEC_CONFIG)) {
      expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      weights.forEach((w, i) => w > 1e-9 && heard.add(firstBin + i));
    }
    expect(heard.size).toBe(DEFAULT_MEL_CODEC_CONFIG.fftSize / 2 - 1);
  });
});

describe('the mel analysis', () => {
  it('gives one latent frame for every started hop, and none for no samples', () => {
    const analysis = new MelAnalysis(TINY, randomMap(TINY, 1));
    for (const [samples, frames] of [
      [0, 0],
      [1, 1],
      [240, 1],
      [241, 2],
      [2400, 10],
    ]) {
      // prettier-ignore
      expect(latentFrames(TINY, samples)).toBe(frames);
      expect(analysis.encode(babble(samples, 8000)).length).toBe(frames * TINY.latentDim);
    }
  });

  it('encodes a range exactly as the whole', () => {
    const analysis = new MelAnalysis(TINY, randomMap(TINY, 2));
    const samples = babble(5000, 8000);
    const whole = analysis.encode(samples);
    const D = TINY.latentDim;
    for (const [from, count] of [
      [0, 3],
      [4, 7],
      [19, 2],
    ]) {
      // prettier-ignore
      expect(analysis.encodeRange(samples, from, count)).toEqual(whole.slice(from * D, (from + count) * D));
    }
  });

  it('projects stacked frames on the basis', () => {
    const map = randomMap(TINY, 3);
    const samples = babble(960, 8000);
    const [S, logMel, frame] = [stackedDimOf(TINY), new LogMel(TINY), new Float64Array(TINY.melBins)];
    const stacked: number[] = [];
    for (let f = 4; f < 8; f++) {
      logMel.frame(samples, f, frame);
      stacked.push(...frame);
    }
    const latents = new MelAnalysis(TINY, map).encode(samples);
    for (let d = 0; d < TINY.latentDim; d++) {
      const expected = stacked.reduce((sum, x, s) => sum + (x - map.mean[s]) * map.basis[d * S + s], 0) / map.scale;
      expect(latents[TINY.latentDim + d]).toBeCloseTo(expected, 4);
    }
  });

  it('refuses a linear map of another size', () => {
    const map = { ...randomMap(TINY, 4), mean: new Float32Array(3) };
    expect(() => new MelAnalysis(TINY, map)).toThrow(/expected mean \[80\] and basis \[12, 80\], got 3 and 960/);
  });
});

describe('the mel codec config', () => {
  it('accepts the default and what it wrote', () => {
    expect(parseMelCodecConfig(JSON.parse(JSON.stringify(DEFAULT_MEL_CODEC_CONFIG)))).toEqual(DEFAULT_MEL_CODEC_CONFIG);
  });

  it('reads a codec that was written before there were sources as one without', () => {
    const { decoderSource: _, ...older } = TINY;
    expect(parseMelCodecConfig(older)).toEqual({ ...TINY, decoderSource: 'none' });
  });

  const wrong: [string, object | null, RegExp][] = [
    ['no object', null, /expected an object/],
    ['an unknown key', { ...TINY, extra: 1 }, /unknown \[extra\]/],
    ['a missing key', { ...TINY, fftSize: undefined, melBins: 'x' }, /fftSize must be a number, got undefined/],
    ['another codec', { ...TINY, codecType: 'encodec' }, /expected codecType 'mel', got "encodec"/],
    ['an unknown source', { ...TINY, decoderSource: 'glottis' }, /'none' or 'pitch', got "glottis"/],
    ['a fraction', { ...TINY, melBins: 2.5 }, /melBins must lie in 1\.\./],
    ['a size beyond reason', { ...TINY, decoderWidth: 1e9 }, /decoderWidth must lie in/],
    ['a window that is no power of two', { ...TINY, fftSize: 250 }, /power of two/],
    ['windows that do not overlap', { ...TINY, spectrumHopLength: 200 }, /at most fftSize \/ 2/],
    ['a kernel without a past', { ...TINY, decoderKernel: 1 }, /decoderKernel must be at least 2/],
    ['frequencies beyond half the rate', { ...TINY, maxFrequency: 5000 }, /at most sampleRate \/ 2/],
    ['more latents than mel values', { ...TINY, latentDim: 81 }, /latentDim must be at most 80/],
    ['lookahead beyond the kernel', { ...TINY, decoderLookahead: 3 }, /less than decoderInputKernel/],
  ];
  it.each(wrong)('refuses %s', (_, value, message) => {
    expect(() => parseMelCodecConfig(value)).toThrow(message);
  });
});
