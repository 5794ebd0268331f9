import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import type { SpeechParts } from '../../../src/generate/speech.js';
import { CheckpointError, SledTts, Voice } from '../../../src/index.js';
import { fromFloat32, writeSafetensors, type SafetensorsArray } from '../../../src/model/safetensors.js';
import { largestDifference } from './golden-cases.js';
import { toyVoice, type ToyCodec } from './toy-voice.js';

const root = mkdtempSync(join(tmpdir(), 'sled-voice-'));
const file = join(root, 'my.voice');
const PROMPT = 'hi ðɛɹ';
const TEXT = 'mi nAm iz tI. hW ɑɹ ju?';

let parts: SpeechParts & { codec: ToyCodec };
let tts: SledTts;
let voice: Voice;
beforeAll(async () => {
  parts = await toyVoice();
  tts = new SledTts(parts);
  const samples = Float32Array.from({ length: 60 }, (_, n) => Math.sin(n));
  voice = await tts.createVoice({ samples, sampleRate: 100, text: PROMPT });
});
afterAll(async () => {
  await tts.free();
  rmSync(root, { recursive: true });
});

test('a recording becomes as many frames as it has, or as its first seconds have', async () => {
  expect([voice.frames, voice.seconds, voice.text]).toEqual([15, 0.6, PROMPT]);
  const samples = new Float32Array(61);
  expect((await tts.createVoice({ samples, sampleRate: 100, text: PROMPT })).frames).toBe(16);
  expect((await tts.createVoice({ samples, sampleRate: 100, text: '', seconds: 0.2 })).frames).toBe(5);
});

describe('an interleaved model with a prompt', () => {
  test('takes the prompt’s frames for its first ones and goes on by its plan', async () => {
    const options = { seed: 1, maxFrames: 20 };
    const whole = await tts.generate('hi ðɛɹ mi nAm iz tI', options);
    const given = whole.latents.slice(0, 15 * 32);
    // Frames that the model drew itself, given back: what follows is what followed. Its noise begins anew.
    const noise = { ...options, temperature: 0 };
    const still = await tts.generate('hi ðɛɹ mi nAm iz tI', noise);
    const prompt = { text: PROMPT, latents: still.latents.slice(0, 15 * 32) };
    const after = await tts.generate('mi nAm iz tI', { ...noise, prompt, maxFrames: 5 });
    expect(largestDifference(after.latents, still.latents.slice(15 * 32))).toBeLessThan(1e-3);
    const other = await tts.generate('mi nAm iz tI', {
      ...noise,
      prompt: { text: PROMPT, latents: given },
      maxFrames: 5,
    });
    expect(largestDifference(other.latents, after.latents)).toBeGreaterThan(0.01);
  });

  test('computes a voice’s turns once, and says the same again', async () => {
    const speak = async () => {
      const before = parts.session.prefilledPositions;
      const { latents } = await tts.generate('mi nAm iz tI', { prompt: voice, maxFrames: 4 });
      return { latents, positions: parts.session.prefilledPositions - before };
    };
    const [first, again] = [await speak(), await speak()];
    // <s> and six phonemes: a turn of 5 tokens and 7 frames, and 3 tokens of the next; 15 frames of the row without text.
    expect(first.positions - again.positions).toBe(5 + 7 + 3 + 15);
    expect(largestDifference(first.latents, again.latents)).toBeLessThan(1e-4);
  });

  test('streams the same audio as generate, in one piece and in many', async () => {
    const whole = await tts.generate(TEXT, { prompt: voice, seed: 2 });
    const streamed: number[] = [];
    for await (const chunk of tts.stream((async function* () { yield* TEXT; })(), { prompt: voice, seed: 2 })) streamed.push(...chunk); // prettier-ignore
    expect(largestDifference(streamed, whole.samples)).toBeLessThan(1e-4);
    expect(whole.samples).toHaveLength(whole.frames * 4);
  });

  test('lets the prompt be heard when asked to', async () => {
    const { samples, frames, utterances } = await tts.generate('mi nAm', { prompt: voice, includePrompt: true, maxFrames: 6 }); // prettier-ignore
    expect(samples).toHaveLength((15 + frames) * 4);
    expect(largestDifference(samples.slice(0, 60), Float32Array.from({ length: 60 }, (_, n) => Math.sin(n)))).toBeLessThan(1e-6); // prettier-ignore
    expect(utterances).toEqual([{ text: '', startSeconds: 0.6, endSeconds: (15 + frames) / 25 }]);
  });
});

test('many voices, used and dropped, leave no native object behind', async () => {
  const speakWith = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const prompt = new Voice({ text: PROMPT, latents: voice.latents }, voice.codec);
      await tts.generate('mi nAm', { prompt, maxFrames: 2 });
    }
  };
  await speakWith(6);
  const before = liveObjects();
  await speakWith(12);
  expect(liveObjects()).toEqual(before);
});

describe('a voice file', () => {
  const write = (change: { tensors?: Record<string, SafetensorsArray>; metadata?: Record<string, string> }) => {
    const { latents, frames, codec } = voice;
    const tensors = {
      latents: fromFloat32(latents, [frames, 32]),
      channel_scale: fromFloat32(codec.channelScale, [32]),
      ...change.tensors,
    };
    const metadata = { format: 'sled-voice-1', text: PROMPT, sampleRate: '100', hopLength: '4', ...change.metadata };
    writeSafetensors(file, new Map(Object.entries(tensors)), metadata);
  };

  test('holds the voice, and nothing else is left beside it', () => {
    voice.save(file);
    const loaded = Voice.load(file);
    expect(loaded).toEqual(voice);
    expect(readdirSync(root)).toEqual(['my.voice']);
  });

  const nan = new Float32Array(32).fill(NaN);
  test.each([
    ['another format', { metadata: { format: 'x' } }, /expected a voice file \(sled-voice-1\), got "x"/],
    ['a number that is none', { metadata: { hopLength: '1e9' } }, /hopLength: expected a positive whole number/],
    ['a text without end', { metadata: { text: 'x'.repeat(20_000) } }, /text of at most 10000 characters/],
    ['no frame', { tensors: { latents: fromFloat32(new Float32Array(), [0, 32]) } }, /at least one frame/],
    ['no number', { tensors: { latents: fromFloat32(nan, [1, 32]) } }, /latent 0 is NaN/],
    ['an endless number', { tensors: { latents: fromFloat32(nan.map(() => Infinity), [1, 32]) } }, /latent 0 is Infinity/],
    ['another type', { tensors: { latents: fromFloat32(voiceless(), [1, 32], 'F16') } }, /of F32, got \[1,32\] F16/],
    ['other dimensions', { tensors: { latents: fromFloat32(voiceless(), [32]) } }, /expected latents \[T, D\]/],
    ['another tensor', { tensors: { extra: fromFloat32(voiceless(), [32]) } }, /expected the tensors/],
    ['hours of speech', { tensors: { latents: fromFloat32(new Float32Array(32 * 4000), [4000, 32]) } }, /at most 120 s/],
  ])('with %s is refused', (_title, change, message) => {
    write(change);
    expect(() => Voice.load(file)).toThrow(CheckpointError);
    expect(() => Voice.load(file)).toThrow(message);
  }); // prettier-ignore

  test('cut at any byte, or with a byte changed in its header, is refused or harmless', () => {
    voice.save(file);
    const bytes = readFileSync(file);
    for (let length = 0; length < bytes.length; length += 61) {
      writeFileSync(file, bytes);
      truncateSync(file, length);
      expect(() => Voice.load(file), `${length} bytes`).toThrow(CheckpointError);
    }
    for (let i = 0; i < 300; i++) {
      const changed = Buffer.from(bytes);
      changed[i] ^= 1 + ((i * 37) % 255);
      writeFileSync(file, changed);
      try {
        expect(Voice.load(file).latents.every((x) => Math.abs(x) <= 10_000)).toBe(true);
      } catch (error) {
        expect(error, `byte ${i}`).toBeInstanceOf(CheckpointError);
      }
    }
  });

  test('that is larger than any voice is not read', () => {
    truncateSync(file, (32 << 20) + 1);
    expect(() => Voice.load(file)).toThrow(/33554433 bytes; a voice file has at most 33554432/);
    expect(() => Voice.load(join(root, 'no.voice'))).toThrow(/no such file; 'sled-tts voice make' makes one/);
  });
});

describe('a prompt that does not fit is one clear error', () => {
  const [text, latents] = [PROMPT, new Float32Array(32)];
  test.each([
    ['of other channels', { text, latents: new Float32Array(31) }, /expected latents \[T, 32\]/],
    ['without frames', { text, latents: new Float32Array(0) }, /at least one frame/],
    ['that is not finite', { text, latents: latents.map(() => NaN) }, /latent 0 is NaN/],
    ['without text', { text: undefined as never, latents }, /expected a text/],
    ['that fills the positions', { text, latents: new Float32Array(32 * 200) }, /200 frames and their text leave \d+ of 256 positions/],
  ])('%s', async (_title, prompt, message) => {
    await expect(tts.generate('mi nAm', { prompt })).rejects.toThrow(message);
    expect(parts.session.streams).toBe(0);
  }); // prettier-ignore

  test('of another codec', async () => {
    const other = (change: Partial<Voice['codec']>) => new Voice(voice, { ...voice.codec, ...change });
    await expect(tts.generate('mi', { prompt: other({ hopLength: 5 }) })).rejects.toThrow(
      /made for a codec of 32 channels, 5 samples a frame at 100 Hz; this model's has 32 channels, 4 samples/,
    );
    const channelScale = voice.codec.channelScale.map((x, d) => (d === 7 ? 1.1 * x : x));
    await expect(tts.generate('mi', { prompt: other({ channelScale }) })).rejects.toThrow(/made for another codec/);
  });

  test.each([
    [{ samples: new Float32Array() }, /expected samples/],
    [{ samples: Float32Array.of(1, NaN) }, /expected samples/],
    [{ samples: [1] as never }, /expected samples/],
    [{ seconds: 0 }, /seconds: expected a positive number/],
    [{ samples: new Float32Array(13_000) }, /at most 120 s/],
  ])('createVoice refuses %j', async (change, message) => {
    const recording = { samples: new Float32Array(9), sampleRate: 100, text: PROMPT, ...change };
    await expect(tts.createVoice(recording)).rejects.toThrow(message);
  });
});

function voiceless(): Float32Array {
  return new Float32Array(32);
}
