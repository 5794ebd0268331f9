import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EncodecCodec } from '../../../../src/codec/encodec/encodec-codec.js';
import {
  floatsOf,
  goldenArrays,
  goldenFiles,
  goldenLatents,
  goldenSignal,
  goldenSizes,
  integersOf,
  largestDifference,
} from './golden-codec.js';

/** Float32 sums in another order; the sound's deviation is near 1. */
const TOLERANCE = 1e-4;

describe.each(['tiny', 'odd'])("the %s codec beside Hugging Face's", (name) => {
  const arrays = goldenArrays(name);
  let codec: EncodecCodec;
  beforeAll(() => {
    codec = new EncodecCodec(goldenFiles(name));
  });
  afterAll(() => codec.free());

  it.each(goldenSizes(name, 'decode'))('decodes %d frames to the same sound', async (frames) => {
    const decoder = codec.createDecoder();
    const sound = [await decoder.decode(goldenLatents(frames, codec.latentDim)), await decoder.flush()];
    const samples = Float32Array.from(sound.flatMap((part) => [...part]));
    expect(samples.length).toBe(frames * codec.hopLength);
    expect(largestDifference(samples, floatsOf(arrays, `decode.${frames}.samples`))).toBeLessThan(TOLERANCE);
  });

  it.each(goldenSizes(name, 'encode'))('encodes %d samples to the same codes', async (count) => {
    const codes = await codec.encodeToCodes(goldenSignal(count));
    expect([...codes]).toEqual(integersOf(arrays, `encode.${count}.codes`));
    const latents = floatsOf(arrays, `encode.${count}.latents`);
    expect(largestDifference(codec.latentsOf(codes), latents)).toBeLessThan(1e-6);
    expect(await codec.encode(goldenSignal(count))).toEqual(codec.latentsOf(codes));
  });
});
