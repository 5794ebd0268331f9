import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { graphComputations } from '@sled-tts/ggml';
import { openSession } from '../../../src/generate/open-session.js';
import type { SpeechParts } from '../../../src/generate/speech.js';
import { utterancesOf } from '../../../src/generate/utterances.js';
import { SledTts, type SpeakOptions } from '../../../src/index.js';
import type { SledConfig } from '../../../src/model/config.js';
import { BytePairs } from '../../../src/text/index.js';
import { cutRandomly, randomNumbers } from '../text/cuts.js';
import { EXACT, goldenConfig, hashedCheckpoint } from './golden-cases.js';
import { ToyCodec } from './toy-voice.js';

// A model that reads byte-level text in turns: what is written is spoken as if it had been there as a whole.
const frontEnd = BytePairs.load(fileURLToPath(new URL('../../golden/bpe', import.meta.url)));
const SENTENCES = 'It was silent. Dr. Hale’s 🙂 café slept by the fire, and nobody spoke! “Who is there?” he asked. ';
const TEXTS: Record<string, string> = {
  'several sentences': SENTENCES,
  'no boundary at its end': 'He asked who was there, and nobody',
  'a word longer than any': `see ${'ab1!'.repeat(90)} there`,
  'no spaces at all': '火'.repeat(200),
  'characters of several code units': '🙂👨‍👩‍👧 naïve e\u0301 🙂',
  'special tokens in it': 'one <s> two</s><pad>three <mask> <s',
  'white space around it': '  \n It was\u00a0silent \t and gloomy.  \n\n',
  'one letter': 'a',
};

const config: SledConfig = { ...goldenConfig('even-stream'), vocabSize: 700, text: 'bpe', maxPositions: 4096 };
let parts: SpeechParts & { codec: ToyCodec };
let tts: SledTts;

async function open(changes: Partial<SledConfig> = {}) {
  const settings = { ...config, ...changes };
  const endHead = Float32Array.from({ length: config.width }, (_, c) => (c % 2 ? 0.35 : -0.2));
  const session = await openSession(settings, hashedCheckpoint(settings, endHead), EXACT);
  return { config: settings, frontEnd, session, codec: new ToyCodec(config.latentDim) };
}

beforeAll(async () => {
  parts = await open();
  tts = new SledTts(parts);
});
afterAll(() => tts.free());

async function* inParts(texts: readonly string[]) {
  for (const text of texts) {
    await Promise.resolve();
    yield text;
  }
}

const inPieces = (text: string, size: number) => inParts(text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []);

async function collect(stream: AsyncIterable<Float32Array>): Promise<number[]> {
  const samples: number[] = [];
  for await (const chunk of stream) samples.push(...chunk);
  return samples;
}

/** The ids of each utterance of a text, read a turn at a time. */
async function idsOf(text: string | AsyncIterable<string>, settings = config): Promise<number[][]> {
  const options = { signal: new AbortController().signal, frameRate: 25 };
  const utterances = utterancesOf(text, frontEnd, settings, options);
  const read: number[][] = [];
  for (let next = await utterances.next(undefined); next; next = await utterances.next(undefined)) {
    const ids: number[] = [];
    for (let ended = false; !ended;) {
      const turn = await next.read(settings.textPerTurn);
      ids.push(...turn.ids);
      ended = turn.ended;
    }
    read.push(ids);
  }
  return read;
}

describe.each(Object.entries(TEXTS))('a text with %s', (_title, text) => {
  test('is read as the ids of the whole text, in one utterance, however it is cut on its way in', async () => {
    const random = randomNumbers(7);
    const cuts = [inPieces(text, 1), inPieces(text, 3), ...[1, 2, 3].map(() => inParts(cutRandomly(text, random)))];
    for (const written of [text, ...cuts]) expect(await idsOf(written)).toEqual([frontEnd.encode(text)]);
  });

  test('sounds the same streamed as generated', async () => {
    const options: SpeakOptions = { seed: 3, guidanceScale: 2, maxFrames: 60 };
    const { samples } = await tts.generate(text, options);
    expect(samples.length).toBeGreaterThan(0);
    for (const size of [1, 5, 1000]) expect(await collect(tts.stream(inPieces(text, size), options))).toEqual([...samples]);
  }); // prettier-ignore
});

describe('a text of some length', () => {
  // Positions for about a hundred tokens: from nearly as many up to several times that.
  const settings = { maxPositions: 1156 };
  const texts = [5, 14, 22, 26, 30, 40, 60, 200].map((count) =>
    Array.from({ length: count }, (_, i) => ['It', 'was,', 'silent.', 'Nobody', 'spoke', 'then,'][(i * 7 + i ** 2) % 6]).join(' '),
  ); // prettier-ignore

  test('is cut into the same utterances while it is written as where it is whole', async () => {
    for (const text of [
      ...texts,
      TEXTS['no spaces at all'].repeat(3),
      `${TEXTS['a word longer than any']} `.repeat(4),
    ]) {
      const whole = await idsOf(text, { ...config, ...settings });
      for (const size of [1, 2, 64, 1000])
        expect(await idsOf(inPieces(text, size), { ...config, ...settings })).toEqual(whole);
    }
  });

  test('is one utterance up to what fits, and several beyond', async () => {
    const fits = 100; // of 1,156 positions, (1 + 1.5 * 7) a token
    const tokens = texts.map((text) => frontEnd.encode(text).length);
    expect(tokens.some((count) => count > 0.7 * fits && count <= fits)).toBe(true);
    for (const [i, text] of texts.entries()) {
      const { length } = await idsOf(text, { ...config, ...settings });
      if (tokens[i] <= fits) expect(length, text).toBe(1);
      if (tokens[i] > 1.5 * fits) expect(length, text).toBeGreaterThan(1);
    }
  });

  test('sounds the same streamed as generated', async () => {
    const voice = new SledTts(await open({ maxPositions: 256 }));
    const text = texts[5];
    const { samples, utterances } = await voice.generate(text, { seed: 2, guidanceScale: 1 });
    expect(utterances.length).toBeGreaterThan(2);
    expect(await collect(voice.stream(inPieces(text, 4), { seed: 2, guidanceScale: 1 }))).toEqual([...samples]);
    await voice.free();
  });
});

test('with a word every 300 ms, sound leaves while most words are still to be written', async () => {
  const words = SENTENCES.split(' ').slice(0, 7);
  const heard: number[] = [];
  let samples = 0;
  async function* slowly() {
    for (const word of words) {
      await sleep(300);
      heard.push(samples);
      yield `${word} `;
    }
  }
  for await (const chunk of tts.stream(slowly(), { maxFrames: 60 })) samples += chunk.length;
  expect(heard).toHaveLength(words.length);
  expect(heard[words.length - 2]).toBeGreaterThan(0); // there is sound before the last word but one is written
});

describe('a writer', () => {
  const isFree = () => expect([parts.session.streams, parts.codec.decoders]).toEqual([0, 0]);

  test('that fails is heard of by whoever listens, and its place is free', async () => {
    async function* failing() {
      yield SENTENCES;
      throw new Error('the writer fell asleep');
    }
    await expect(collect(tts.stream(failing()))).rejects.toThrow('the writer fell asleep');
    isFree();
  });

  test('that writes nothing, or only spaces, gives an error', async () => {
    for (const nothing of [[], [''], [' ', '\n ']])
      await expect(collect(tts.stream(inParts(nothing)))).rejects.toThrow(/text: expected something to say/);
    isFree();
  });

  test('that is waited for keeps nobody from leaving: nothing is computed after an abort', async () => {
    const controller = new AbortController();
    let returned = false;
    async function* stuck() {
      try {
        yield SENTENCES;
        await sleep(60_000, undefined, { signal: controller.signal });
      } finally {
        returned = true;
      }
    }
    const stream = tts.stream(stuck(), { signal: controller.signal });
    const heard = [(await stream.next()).value];
    const reading = (async () => {
      for await (const chunk of stream) heard.push(chunk);
    })();
    for (let before = -1; before !== heard.length;) {
      before = heard.length;
      await sleep(60); // until it waits for text
    }
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    const computed = graphComputations();
    await sleep(50);
    expect(graphComputations()).toBe(computed);
    expect(returned).toBe(true);
    isFree();
  });
});
