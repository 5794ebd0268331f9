import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MelCodec } from '../../../src/codec/mel/mel-codec.js';
import { inverseBasis, OverlapAdd } from '../../../src/codec/mel/overlap-add.js';
import { randomCodecFiles, randomLatents } from './random-codec.js';
import { lcg, TINY } from './tiny.js';

const D = TINY.latentDim;
let codec: MelCodec;
beforeEach(() => {
  codec = new MelCodec(randomCodecFiles(TINY));
});
afterEach(() => codec.free());

/** For exact comparisons; a diff of thousands of samples would take a minute to print. */
const bytes = (samples: Float32Array) =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('hex');

/** Decodes `latents` cut at the given chunk lengths. */
async function decodeInChunks(from: MelCodec, latents: Float32Array, lengths: number[]): Promise<Float32Array> {
  const decoder = from.createDecoder();
  const parts: Float32Array[] = [];
  let at = 0;
  for (const length of lengths)
    parts.push(await decoder.decode(latents.subarray(at * from.latentDim, (at += length) * from.latentDim)));
  parts.push(await decoder.flush());
  decoder.free();
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

describe('the mel decoder', () => {
  // 32 channels: a width at which ggml takes its fast kernels, which round differently from the plain ones.
  const cuttable = { ...TINY, latentDim: 32, decoderWidth: 32 };
  it.each(['f32', 'f16', 'bf16', 'q8_0'] as const)(
    'gives the same samples however latents are cut, in %s',
    async (weightType) => {
      const codec = new MelCodec(randomCodecFiles(cuttable), { weightType });
      const latents = randomLatents(cuttable, 63);
      const whole = await decodeInChunks(codec, latents, [63]);
      expect(whole.length).toBe(63 * codec.hopLength);
      expect(whole.some((x) => Math.abs(x) > 1e-3)).toBe(true);
      for (const lengths of [
        Array<number>(63).fill(1),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8],
        [0, 30, 0, 31, 2],
        [62, 1],
      ]) {
        expect(bytes(await decodeInChunks(codec, latents, lengths)) === bytes(whole), `cut at ${lengths}`).toBe(true);
      }
      codec.free();
    },
  );

  it('holds back one latent frame and half a window, no more', async () => {
    const decoder = codec.createDecoder();
    expect((await decoder.decode(randomLatents(TINY, 1))).length).toBe(0);
    const second = await decoder.decode(randomLatents(TINY, 1));
    expect(second.length).toBe(codec.hopLength - TINY.fftSize / 2);
    expect((await decoder.flush()).length).toBe(2 * codec.hopLength - second.length);
  });

  it('never lets later latents change samples that are out', async () => {
    const [a, b] = [randomLatents(TINY, 12), randomLatents(TINY, 12)];
    b.fill(3, 8 * D);
    const [first, second] = [codec.createDecoder(), codec.createDecoder()];
    const before = await first.decode(a.subarray(0, 8 * D));
    const all = await second.decode(b);
    expect(bytes(all.slice(0, before.length)) === bytes(before)).toBe(true);
  });

  it('keeps streams apart that decode at the same time', async () => {
    const [a, b] = [randomLatents(TINY, 20, 1), randomLatents(TINY, 20, 2)];
    const alone = [await decodeInChunks(codec, a, [20]), await decodeInChunks(codec, b, [20])];
    const lengths = [3, 7, 1, 9];
    const together = await Promise.all([decodeInChunks(codec, a, lengths), decodeInChunks(codec, b, lengths)]);
    together.forEach((samples, i) => expect(bytes(samples) === bytes(alone[i])).toBe(true));
  });

  it('answers calls in order when they do not wait for each other', async () => {
    const latents = randomLatents(TINY, 9);
    const decoder = codec.createDecoder();
    const calls = [0, 3, 6].map((at) => decoder.decode(latents.subarray(at * D, (at + 3) * D)));
    const parts = await Promise.all([...calls, decoder.flush()]);
    const all = Float32Array.from(parts.flatMap((part) => [...part]));
    expect(bytes(all) === bytes(await decodeInChunks(codec, latents, [9]))).toBe(true);
  });

  it('says nothing for no latents', async () => {
    expect(await decodeInChunks(codec, new Float32Array(0), [])).toEqual(new Float32Array(0));
  });

  it('refuses latents of another width and calls after the end', async () => {
    const decoder = codec.createDecoder();
    expect(() => decoder.decode(new Float32Array(5))).toThrow('decode: expected latents [T, 12], got 5 values');
    await decoder.flush();
    expect(() => decoder.decode(randomLatents(TINY, 1))).toThrow('this decoder was flushed');
    decoder.free();
    expect(() => decoder.flush()).toThrow('this decoder was freed');
  });

  it('says what is missing when only the analysis is fitted', () => {
    const { decoder: _, ...analysisOnly } = randomCodecFiles(TINY);
    expect(() => new MelCodec(analysisOnly).createDecoder()).toThrow(/hold the analysis only/);
  });

  it.each(['f16', 'bf16', 'q8_0'] as const)('comes close with weights held as %s', async (weightType) => {
    // A source's pulses drift apart by what rounding does to the pitch, so samples are compared without one.
    const files = randomCodecFiles({ ...TINY, decoderSource: 'none' });
    const [float, packed] = [new MelCodec(files), new MelCodec(files, { weightType })];
    const latents = randomLatents(TINY, 10);
    const [exact, close] = [await decodeInChunks(float, latents, [10]), await decodeInChunks(packed, latents, [10])];
    const energy = exact.reduce((sum, x) => sum + x * x, 0);
    const error = exact.reduce((sum, x, n) => sum + (x - close[n]) ** 2, 0);
    expect(error).toBeGreaterThan(0);
    expect(error / energy).toBeLessThan(0.02);
    float.free();
    packed.free();
  });
});

describe('overlap and add', () => {
  it('returns the signal that the windowed frames were cut from, first and last samples included', () => {
    const [size, hop, frames] = [64, 16, 9];
    const random = lcg(4);
    const signal = Float32Array.from({ length: frames * hop }, random);
    const overlap = new OverlapAdd(size, hop);
    const cut = new Float32Array(frames * size);
    for (let f = 0; f < frames; f++) {
      for (let n = 0; n < size; n++) {
        // Windowed twice: once by the analysis, once by the synthesis.
        const w = (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size)) ** 2;
        cut[f * size + n] = w * (signal[f * hop - size / 2 + n] ?? 0);
      }
    }
    const out = [...overlap.add(cut.subarray(0, 3 * size)), ...overlap.add(cut.subarray(3 * size)), ...overlap.flush()];
    expect(out.length).toBe(signal.length);
    out.forEach((x, n) => expect(x).toBeCloseTo(signal[n], 5));
  });

  it('inverts a spectrum by its basis', () => {
    const size = 16;
    const random = lcg(5);
    const spectrum = Array.from({ length: size + 2 }, random);
    const basis = inverseBasis(size);
    for (let n = 0; n < size; n++) {
      let expected = 0;
      for (let k = -size / 2 + 1; k <= size / 2; k++) {
        const [bin, sign] = [Math.abs(k), Math.sign(k)];
        const isEdge = bin === 0 || bin === size / 2;
        const imaginary = isEdge ? 0 : sign * spectrum[size / 2 + 1 + bin];
        const angle = (2 * Math.PI * k * n) / size;
        expected += (spectrum[bin] * Math.cos(angle) - imaginary * Math.sin(angle)) / size;
      }
      const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size);
      const value = spectrum.reduce((sum, x, i) => sum + x * basis[n * (size + 2) + i], 0);
      expect(value).toBeCloseTo(expected * window, 6);
    }
  });
});
