import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { graphComputations, liveObjects } from '@sled-tts/ggml';
import type { SpeechParts } from '../../../src/generate/speech.js';
import { SledTts } from '../../../src/sled-tts.js';
import type { ToyCodec } from './toy-voice.js';
import { spelled, ToyFrontEnd, toyVoice } from './toy-voice.js';

// Letters of the toy front end are phonemes as they stand.
const SENTENCE = 'hi ðɛɹ, mi nAm iz tI.';
const TEXT = `${SENTENCE} hW ɑɹ ju? ʌ lɔŋ wWk bI ðə si!`;

let parts: SpeechParts & { codec: ToyCodec };
let tts: SledTts;
beforeAll(async () => {
  parts = await toyVoice();
  tts = new SledTts(parts);
});
afterAll(async () => {
  await tts.free();
  expect(parts.codec.freed).toBe(true);
});

async function collect(stream: AsyncIterable<Float32Array>): Promise<number[]> {
  const samples: number[] = [];
  for await (const chunk of stream) samples.push(...chunk);
  return samples;
}

async function* pieces(text: string, size: number) {
  for (let i = 0; i < text.length; i += size) {
    await Promise.resolve();
    yield text.slice(i, i + size);
  }
}

test('says what it is made of', () => {
  expect(tts).toMatchObject({ sampleRate: 100, frameRate: 25 });
  expect(tts.config.latentDim).toBe(32);
});

test('generates hopLength samples for every frame, and gives the latents with them', async () => {
  const { samples, sampleRate, frames, latents } = await tts.generate(SENTENCE, { seed: 1, maxFrames: 20 });
  expect(sampleRate).toBe(100);
  expect(frames).toBe(20);
  expect(samples).toHaveLength(20 * 4);
  expect(latents).toHaveLength(20 * 32);
  expect(samples.slice(4, 8)).toEqual(latents.slice(32, 36));
});

test.each([1, 2, 7, 1000])(
  'streams the same audio as generate for the same seed, with text in pieces of %i',
  async (size) => {
    const options = { seed: 5 };
    const whole = await tts.generate(TEXT, options);
    expect(whole.frames).toBeGreaterThan(50);
    expect(await collect(tts.stream(pieces(TEXT, size), options))).toEqual([...whole.samples]);
    expect(await collect(tts.stream(TEXT, options))).toEqual([...whole.samples]);
  },
);

test('another seed is another reading, the same one the same', async () => {
  const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => tts.generate(SENTENCE, { seed, maxFrames: 12 })));
  // a and b share their graphs, so every float is equal
  expect(a.samples).toEqual(b.samples);
  expect(a.samples).not.toEqual(c.samples);
});

test('at temperature 0 every seed is the same reading; at 1 it is the one without the option', async () => {
  const read = (seed: number, temperature?: number) => tts.generate(SENTENCE, { seed, temperature, maxFrames: 12 });
  const [calm, calmToo, free, usual] = [await read(1, 0), await read(2, 0), await read(1, 1), await read(1)];
  expect(calm.samples).toEqual(calmToo.samples);
  expect(calm.samples).not.toEqual(free.samples);
  expect(free.samples).toEqual(usual.samples);
  await expect(tts.generate(SENTENCE, { temperature: -1 })).rejects.toThrow('temperature: expected a number from 0');
});

test('speaks sentence by sentence, each with its own decoder', async () => {
  const created = vi.spyOn(parts.codec, 'createDecoder');
  await tts.generate(TEXT);
  expect(created).toHaveBeenCalledTimes(3);
  created.mockRestore();
  expect(parts.codec.decoders).toBe(0);
});

test('speech that does not end by itself is cut with a warning; its chunks grow from 80 to 640 ms', async () => {
  const warnings: string[] = [];
  // At the offline threshold a probability of one half never ends anything.
  const endless = await toyVoice({ textPerTurn: Infinity, framesPerTurn: Infinity });
  const voice = new SledTts(endless, { onWarning: (message) => warnings.push(message) });
  const { frames } = await voice.generate(SENTENCE);
  expect(frames).toBeGreaterThan(50);
  expect(warnings).toEqual([`the voice did not end by itself; cut after ${frames} frames`]);
  const { calls } = endless.codec;
  expect(calls[0]).toBe(2);
  expect(Math.max(...calls)).toBe(16);
  await voice.free();
});

test('audio leaves before the last word is read', async () => {
  let audio = 0;
  let audioAtLastWord = 0;
  async function* slowly() {
    for (const word of TEXT.split(' ')) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      audioAtLastWord = audio;
      yield `${word} `;
    }
  }
  for await (const chunk of tts.stream(slowly())) audio += chunk.length;
  expect(audioAtLastWord).toBeGreaterThan(0);
});

describe('after an abort', () => {
  test('nothing is computed, and the signal’s reason is thrown', async () => {
    const controller = new AbortController();
    const stream = tts.stream(TEXT, { signal: controller.signal });
    await stream.next();
    controller.abort(new Error('enough'));
    await expect(stream.next()).rejects.toThrow('enough');
    const computed = graphComputations();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(graphComputations()).toBe(computed);
    expect(parts.session.streams).toBe(0);
    expect(parts.codec.decoders).toBe(0);
  });

  test('a stream that waits for its text ends too', async () => {
    const controller = new AbortController();
    async function* never() {
      yield 'hi ';
      await new Promise(() => undefined);
    }
    const next = collect(tts.stream(never(), { signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(next).rejects.toThrow('enough');
  });

  test('a signal that is aborted already computes nothing at all', async () => {
    const computed = graphComputations();
    await expect(tts.generate(SENTENCE, { signal: AbortSignal.abort(new Error('never')) })).rejects.toThrow('never');
    expect(graphComputations()).toBe(computed);
  });
});

test('a reader that leaves stops the computing', async () => {
  for await (const _ of tts.stream(TEXT)) break;
  const computed = graphComputations();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(graphComputations()).toBe(computed);
  expect(parts.session.streams).toBe(0);
});

test('an error of the text’s writer reaches the reader', async () => {
  async function* failing() {
    yield 'hi ðɛɹ ';
    throw new Error('the writer fell asleep');
  }
  await expect(collect(tts.stream(failing()))).rejects.toThrow('the writer fell asleep');
});

test('an error of the front end at the end of a text reaches the reader too', async () => {
  const frontEnd = new ToyFrontEnd();
  frontEnd.createStream = () => ({
    push: () => [0, ...spelled('hi ')],
    end: () => {
      throw new Error('no such word');
    },
    words: [undefined, ...spelled('hi ').map(() => undefined)],
  });
  const voice = new SledTts({ ...parts, frontEnd });
  await expect(collect(voice.stream(pieces('hi', 1)))).rejects.toThrow('no such word');
  await expect(collect(voice.stream('hi'))).rejects.toThrow('no such word');
});

test('an error of the decoder reaches the reader, and everything is freed', async () => {
  vi.spyOn(parts.codec, 'createDecoder').mockImplementationOnce(() => ({
    startFrames: 1,
    decode: () => Promise.reject(new Error('no sound')),
    flush: () => Promise.resolve(new Float32Array()),
    free: async () => undefined,
  }));
  await expect(tts.generate(SENTENCE)).rejects.toThrow('no sound');
  expect(parts.session.streams).toBe(0);
});

test('progress counts frames, and estimates the rest where the text is known', async () => {
  const fractions: (number | undefined)[] = [];
  await tts.generate(SENTENCE, { maxFrames: 20, onProgress: ({ fraction }) => fractions.push(fraction) });
  expect(fractions).toHaveLength(20);
  expect(fractions[0]).toBeGreaterThan(0);
  expect(fractions.every((f, i) => f! <= 1 && (i === 0 || f! >= fractions[i - 1]!))).toBe(true);
  const frames: unknown[] = [];
  await collect(tts.stream(pieces(SENTENCE, 5), { maxFrames: 3, onProgress: (progress) => frames.push(progress) }));
  expect(frames).toEqual([1, 2, 3].map((n) => ({ frames: n, fraction: undefined })));
});

test('a limit in seconds is the limit in frames', async () => {
  expect((await tts.generate(SENTENCE, { maxSeconds: 0.4 })).frames).toBe(10);
});

test.each([
  ['', {}, /text: expected something to say/],
  [' \n', {}, /text: expected something to say/],
  [5, {}, /text: expected a string or an AsyncIterable of strings, got number/],
  ['hi', { seed: 1.5 }, /seed: expected an integer/],
  ['hi', { guidanceScale: Number.NaN }, /guidanceScale: expected a number from 0, got NaN/],
  ['hi', { guidanceScale: -1 }, /guidanceScale: expected a number from 0, got -1/],
  ['hi', { maxFrames: 0 }, /maxFrames: expected a positive integer, got 0/],
  ['hi', { maxSeconds: Number.NaN }, /maxSeconds: expected a positive number, got NaN/],
])('refuses %j with %j', async (text, options, message) => {
  await expect(tts.generate(text as string, options)).rejects.toThrow(message);
});

test('a text without anything to say is an error, also when it comes in pieces', async () => {
  await expect(collect(tts.stream(pieces('   ', 1)))).rejects.toThrow(/nothing that can be spoken/);
});

test('fifty texts leave no native object behind', async () => {
  await tts.generate(SENTENCE, { maxFrames: 3 });
  const before = liveObjects();
  for (let seed = 0; seed < 50; seed++) await tts.generate(SENTENCE, { seed, maxFrames: 3 });
  expect(liveObjects()).toEqual(before);
});

test('a voice that is freed while it speaks ends its streams, and speaks no more', async () => {
  const other = await toyVoice();
  const voice = new SledTts(other);
  let speaking: Promise<unknown> = Promise.resolve();
  await new Promise<void>((begun) => (speaking = voice.generate(TEXT, { onProgress: () => begun() })));
  const ended = expect(speaking).rejects.toThrow(/closed|freed/);
  await voice.free();
  await ended;
  await expect(voice.generate(SENTENCE)).rejects.toThrow(/freed/);
  await voice.free();
});

test('a codec or front end that does not fit the model is refused', async () => {
  const other = await toyVoice({ latentDim: 16 });
  expect(() => new SledTts({ ...other, codec: parts.codec })).toThrow(/expected 16 latent channels.*got 32/);
  expect(() => new SledTts({ ...other, frontEnd: { ...other.frontEnd, vocabSize: 10_000 } as never })).toThrow(
    /10000 ids/,
  );
  await new SledTts(other).free();
});
