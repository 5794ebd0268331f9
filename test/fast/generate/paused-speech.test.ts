import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { measureLoudness } from '../../../src/audio/loudness.js';
import { SledTts, type SpeakOptions } from '../../../src/index.js';
import { toyVoice } from './toy-voice.js';

const warnings: string[] = [];
let tts: SledTts;
beforeAll(async () => {
  tts = new SledTts(await toyVoice(), { onWarning: (message) => warnings.push(message) });
});
afterAll(() => tts.free());

async function streamed(text: string, size: number, options: SpeakOptions = {}): Promise<number[]> {
  async function* pieces() {
    for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size);
  }
  const samples: number[] = [];
  for await (const chunk of tts.stream(pieces(), options)) samples.push(...chunk);
  return samples;
}

/** Where the longest run of exact nought is. */
function longestSilence(samples: ArrayLike<number>): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let i = 0, run = 0; i < samples.length; i++) {
    run = samples[i] === 0 ? run + 1 : 0;
    if (run > best.length) best = { start: i - run + 1, length: run };
  }
  return best;
}

const PAUSED = 'hi ðɛɹ [pause:0.5] nAm iz.';

describe('a pause', () => {
  test('is exactly as long as it says, between the same speech that stands alone', async () => {
    const { samples, frames, utterances } = await tts.generate(PAUSED, { seed: 4 });
    const first = await tts.generate('hi ðɛɹ ', { seed: 4 });
    expect(samples).toHaveLength(frames * 4 + 50);
    expect(samples.subarray(0, first.samples.length)).toEqual(first.samples);
    expect(longestSilence(samples)).toEqual({ start: first.samples.length, length: 50 });
    expect(utterances).toHaveLength(2);
    expect(utterances[1].startSeconds).toBeCloseTo(first.samples.length / 100 + 0.5, 9);
  });

  test.each([1, 3, 11])('survives that its text comes in pieces of %i', async (size) => {
    const whole = await tts.generate(PAUSED, { seed: 4 });
    expect(await streamed(PAUSED, size, { seed: 4 })).toEqual([...whole.samples]);
  });

  test('may stand first, last, twice and between nothing', async () => {
    const { samples, frames } = await tts.generate('[pause:1] hi ðɛɹ. [pause:0.25][pause:0.25] [pause:0.5]');
    expect(samples).toHaveLength(frames * 4 + 200);
    await expect(tts.generate('[pause:1]')).rejects.toThrow('text: expected something to say');
    await expect(streamed('[pause:1]', 2)).rejects.toThrow('text: expected something to say');
  });

  test('without a length is left out, with a warning', async () => {
    warnings.length = 0;
    const { samples } = await tts.generate('hi [pause:long]ðɛɹ.', { seed: 1 });
    expect(samples).toEqual((await tts.generate('hi ðɛɹ.', { seed: 1 })).samples);
    expect(warnings[0]).toContain("left out '[pause:long]'");
  });

  test('counts towards no limit of frames', async () => {
    const { samples, frames } = await tts.generate(PAUSED, { maxFrames: 3 });
    expect([frames, samples.length]).toEqual([3, 12]);
  });

  test('does not hold up an abort while the text is still to come', async () => {
    const controller = new AbortController();
    async function* never() {
      yield '[pause:0.1]';
      await new Promise(() => undefined);
    }
    const stream = tts.stream(never(), { signal: controller.signal });
    expect((await stream.next()).value).toHaveLength(10);
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(stream.next()).rejects.toThrow('enough');
  });
});

describe('the rate', () => {
  test('changes what is spoken, exactly, and no pause', async () => {
    const slow = await tts.generate(PAUSED, { seed: 4, rate: 0.8 });
    const first = await tts.generate('hi ðɛɹ ', { seed: 4 });
    const rest = slow.frames * 4 - first.samples.length;
    expect(slow.samples).toHaveLength(Math.round(first.samples.length / 0.8) + 50 + Math.round(rest / 0.8));
    expect(await streamed(PAUSED, 2, { seed: 4, rate: 0.8 })).toEqual([...slow.samples]);
  });

  test('is refused outside of its range before anything is computed', async () => {
    await expect(tts.generate('hi.', { rate: 3 })).rejects.toThrow(/rate: expected a number from 0\.5 to 2, got 3/);
  });
});

describe('the loudness', () => {
  test('of generate() is what was asked for, or a warning says what it is', async () => {
    const loud = new SledTts(await toyVoice());
    Object.defineProperty(loud, 'sampleRate', { value: 24_000 }); // the toy's own is too low to be measured
    const { samples } = await loud.generate('hi ðɛɹ.', { loudness: -40 });
    expect(measureLoudness(samples, 24_000)).toBeCloseTo(-40, 2);
    await loud.free();
  });

  test('is nothing that a stream can have', async () => {
    await expect(streamed('hi.', 1, { loudness: -16 })).rejects.toThrow(/loudness: a stream cannot know its own/);
  });
});
