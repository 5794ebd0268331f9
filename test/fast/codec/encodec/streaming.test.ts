import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import { EncodecCodec } from '../../../../src/codec/encodec/encodec-codec.js';
import { goldenFiles, goldenLatents, goldenSignal } from './golden-codec.js';

/** For exact comparisons; a diff of thousands of samples would take a minute to print. */
const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength).toString('hex');

const joined = (parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));

/** Decodes `latents` cut at the given chunk lengths. */
async function decodeInChunks(codec: EncodecCodec, latents: Float32Array, lengths: number[]): Promise<Float32Array> {
  const decoder = codec.createDecoder();
  const parts: Float32Array[] = [];
  const D = codec.latentDim;
  let at = 0;
  for (const length of lengths) parts.push(await decoder.decode(latents.subarray(at * D, (at += length) * D)));
  parts.push(await decoder.flush());
  decoder.free();
  return joined(parts);
}

/** Latents of `samples` cut at the given chunk lengths, and the codes of each chunk. */
async function encodeInChunks(codec: EncodecCodec, samples: Float32Array, lengths: number[]): Promise<Float32Array> {
  const encoder = codec.createEncoder();
  const parts: Float32Array[] = [];
  let at = 0;
  for (const length of lengths) parts.push((await encoder.encode(samples.subarray(at, (at += length)))).latents);
  parts.push((await encoder.flush()).latents);
  encoder.free();
  return joined(parts);
}

/** The cuts of a length into pieces of `size` and a rest. */
const pieces = (length: number, size: number) =>
  Array.from({ length: Math.ceil(length / size) }, (_, i) => Math.min(size, length - i * size));

describe.each(['tiny', 'odd'])('a stream of the %s codec', (name) => {
  let codec: EncodecCodec;
  beforeAll(() => {
    codec = new EncodecCodec(goldenFiles(name));
  });
  afterAll(() => codec.free());

  it.each([1, 2, 3, 5, 6, 7, 8, 9, 41])('decodes %d frames to the same bits however they are cut', async (frames) => {
    const latents = goldenLatents(frames, codec.latentDim);
    const whole = await decodeInChunks(codec, latents, [frames]);
    expect(whole.length).toBe(frames * codec.hopLength);
    for (const lengths of [pieces(frames, 1), pieces(frames, 4), [0, frames - 1, 0, 1]]) {
      const isSame = bytes(await decodeInChunks(codec, latents, lengths)) === bytes(whole);
      expect(isSame, `cut at ${lengths}`).toBe(true);
    }
  });

  it.each([1, 11, 24, 168, 179, 491])('encodes %d samples to the same bits however they are cut', async (count) => {
    const samples = goldenSignal(count);
    const whole = await encodeInChunks(codec, samples, [count]);
    expect(whole.length).toBe(Math.ceil(count / codec.hopLength) * codec.latentDim);
    expect(bytes(await codec.encode(samples)) === bytes(whole)).toBe(true);
    for (const lengths of [pieces(count, 7), pieces(count, 50), [0, count - 1, 0, 1]]) {
      const isSame = bytes(await encodeInChunks(codec, samples, lengths)) === bytes(whole);
      expect(isSame, `cut at ${lengths}`).toBe(true);
    }
  });

  it('answers calls in order when they do not wait for each other', async () => {
    const latents = goldenLatents(12, codec.latentDim);
    const decoder = codec.createDecoder();
    const calls = [0, 4, 8].map((at) => decoder.decode(latents.subarray(at * codec.latentDim, (at + 4) * codec.latentDim))); // prettier-ignore
    const sound = joined(await Promise.all([...calls, decoder.flush()]));
    expect(bytes(sound) === bytes(await decodeInChunks(codec, latents, [12]))).toBe(true);
  });

  it('keeps streams apart that run at the same time', async () => {
    const [a, b] = [goldenLatents(20, codec.latentDim), goldenLatents(21, codec.latentDim).subarray(codec.latentDim)];
    const alone = [await decodeInChunks(codec, a, [20]), await decodeInChunks(codec, b, [20])];
    const together = await Promise.all([decodeInChunks(codec, a, [9, 11]), decodeInChunks(codec, b, [9, 11])]);
    together.forEach((sound, i) => expect(bytes(sound) === bytes(alone[i])).toBe(true));
  });
});

describe('an EnCodec stream', () => {
  it('holds back the frames that mirroring the start needs, and then nothing', async () => {
    const codec = new EncodecCodec(goldenFiles('tiny'));
    const decoder = codec.createDecoder();
    const latents = goldenLatents(8, codec.latentDim);
    expect((await decoder.decode(latents.subarray(0, 6 * codec.latentDim))).length).toBe(0);
    expect((await decoder.decode(latents.subarray(6 * codec.latentDim, 7 * codec.latentDim))).length).toBe(7 * 24);
    expect((await decoder.decode(latents.subarray(7 * codec.latentDim))).length).toBe(24);
    expect((await decoder.flush()).length).toBe(0);
    await codec.free();
  });

  it('gives codes [K, T] of each chunk and the sums of their vectors', async () => {
    const codec = new EncodecCodec(goldenFiles('tiny'));
    const encoder = codec.createEncoder();
    const { codes, latents } = await encoder.encode(goldenSignal(8 * 24 + 5));
    expect([codes.length, latents.length]).toEqual([16 * 8, 8 * 12]);
    expect(codec.latentsOf(codes)).toEqual(latents);
    expect((await encoder.flush()).codes.length).toBe(16);
    await codec.free();
  });

  it('is silent about nothing', async () => {
    const codec = new EncodecCodec(goldenFiles('tiny'));
    expect(await decodeInChunks(codec, new Float32Array(0), [])).toEqual(new Float32Array(0));
    expect(await codec.encode(new Float32Array(0))).toEqual(new Float32Array(0));
    await codec.free();
  });

  it('leaves nothing alive natively, the codec freed, and grows by no chunk', async () => {
    const before = liveObjects();
    const codec = new EncodecCodec(goldenFiles('tiny'));
    const [latents, samples] = [goldenLatents(13, codec.latentDim), goldenSignal(13 * 24 + 1)];
    await Promise.all([decodeInChunks(codec, latents, [13]), encodeInChunks(codec, samples, [313])]);
    await decodeInChunks(codec, latents, [3]);
    const used = liveObjects();
    for (let i = 0; i < 5; i++) {
      await Promise.all([decodeInChunks(codec, latents, [13]), encodeInChunks(codec, samples, [313])]);
      await decodeInChunks(codec, latents, [3]);
    }
    expect(liveObjects()).toEqual(used);
    for (let i = 1; i < 10; i++) await decodeInChunks(codec, goldenLatents(7 + i, codec.latentDim), [7, i]);
    expect(liveObjects().graph - used.graph).toBeLessThan(9);
    const busy = decodeInChunks(codec, latents, [13]);
    const freed = codec.free();
    await expect(busy).rejects.toThrow('the codec was freed while a stream was in use');
    await freed;
    expect(liveObjects()).toEqual(before);
  });
});
