import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EncodecCodec } from '../../../src/codec/encodec/encodec-codec.js';
import {
  floatsOf,
  goldenArrays,
  goldenFiles,
  goldenLatents,
  goldenSignal,
  goldenSizes,
  integersOf,
  largestDifference,
} from '../../fast/codec/encodec/golden-codec.js';

describe("the 24 kHz codec beside Hugging Face's, at full size", () => {
  const arrays = goldenArrays('24khz');
  let codec: EncodecCodec;
  beforeAll(() => {
    codec = new EncodecCodec(goldenFiles('24khz'));
  });
  afterAll(() => codec.free());

  /** Sound of the golden latents, cut at `size` frames. */
  async function decoded(frames: number, size: number): Promise<Float32Array> {
    const latents = goldenLatents(frames, codec.latentDim);
    const decoder = codec.createDecoder();
    const parts: Float32Array[] = [];
    for (let at = 0; at < latents.length; at += size * codec.latentDim) {
      parts.push(await decoder.decode(latents.subarray(at, at + size * codec.latentDim)));
    }
    parts.push(await decoder.flush());
    return Float32Array.from(parts.flatMap((part) => [...part]));
  }

  it('uses eight codebooks at 75 frames a second', () => {
    expect([codec.codebooks, codec.sampleRate / codec.hopLength]).toEqual([8, 75]);
  });

  it.each(goldenSizes('24khz', 'decode'))('decodes %d frames to the same sound', async (frames) => {
    const samples = await decoded(frames, frames);
    expect(samples.length).toBe(frames * 320);
    expect(largestDifference(samples, floatsOf(arrays, `decode.${frames}.samples`))).toBeLessThan(1e-4);
  });

  it.each(goldenSizes('24khz', 'encode'))('encodes %d samples to the same codes', async (count) => {
    const codes = await codec.encodeToCodes(goldenSignal(count));
    expect([...codes]).toEqual(integersOf(arrays, `encode.${count}.codes`));
  });

  it('decodes to the same bits by one, three, eleven and thirty-nine frames', async () => {
    const whole = await decoded(40, 40);
    for (const size of [1, 3, 11, 39]) expect(largestDifference(await decoded(40, size), whole), `${size}`).toBe(0);
  });

  it('encodes to the same bits in pieces of 100, 320, 1,001 and 6,000 samples', async () => {
    const samples = goldenSignal(320 * 20 + 9);
    const whole = await codec.encode(samples);
    for (const size of [100, 320, 1001, 6000]) {
      const encoder = codec.createEncoder();
      const parts: Float32Array[] = [];
      for (let at = 0; at < samples.length; at += size) {
        parts.push((await encoder.encode(samples.subarray(at, at + size))).latents);
      }
      parts.push((await encoder.flush()).latents);
      encoder.free();
      const latents = Float32Array.from(parts.flatMap((part) => [...part]));
      expect(largestDifference(latents, whole), `${size}`).toBe(0);
    }
  });
});
