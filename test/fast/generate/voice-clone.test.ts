import { afterEach, describe, expect, test } from 'vitest';
import { EncodecCodec } from '../../../src/codec/encodec/encodec-codec.js';
import { openSession } from '../../../src/generate/open-session.js';
import type { Session } from '../../../src/generate/session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { SledTts, TorchRandom } from '../../../src/index.js';
import { BytePairs } from '../../../src/text/index.js';
import { goldenFiles, goldenSignal } from '../codec/encodec/golden-codec.js';
import { collectFrames, EXACT, framesOf, largestDifference } from './golden-cases.js';
import {
  bpeFolder, cloneCases as cases, cloneCheckpoint, cloneConfig, goldenFloats as floats, hasGolden, type CloneCase,
} from './golden-clone.js'; // prettier-ignore

// Sums in another order; latents are of size 1 and samples too.
const TOLERANCE = 1e-3;
const PROMPT_FRAMES = 20;
const MAX_LENGTH = 160;

const frontEnd = BytePairs.load(bpeFolder);

let tts: SledTts;
let session: Session;
async function open(name: string): Promise<SledTts> {
  const config = cloneConfig(name);
  session = await openSession(config, cloneCheckpoint(name), EXACT);
  const codec = new EncodecCodec(goldenFiles('tiny'));
  tts = new SledTts({ config, frontEnd, session, codec });
  return tts;
}
afterEach(() => tts.free());

/** The prompts of a batch, as its script makes them. */
async function voicesOf({ script }: CloneCase, { prompts, lengths }: CloneCase['batches'][number]) {
  if (script === 'stream') return undefined;
  const seconds = script === 'continue' ? PROMPT_FRAMES / tts.frameRate : undefined;
  return Promise.all(
    lengths.map((count, i) =>
      tts.createVoice({ samples: goldenSignal(count), sampleRate: 1800, text: prompts?.[i] ?? '', seconds }),
    ),
  );
}

const stopping = Object.keys(cases).filter((name) => cases[name].ends);

describe('the released scripts’ arithmetic', () => {
  test.each(stopping)('%s: latents and sound of every batch and row', async (name) => {
    const { script, seed, guidance, readings, batches } = cases[name];
    await open(name);
    const random = new TorchRandom(seed); // seeded once, for all batches
    for (const [b, batch] of batches.entries()) {
      const speeches = await tts.generateBatch(batch.texts, {
        seed: random,
        guidanceScale: guidance,
        count: readings,
        prompts: await voicesOf(cases[name], batch),
        includePrompt: script === 'continue',
      });
      speeches.forEach(({ latents, samples }, row) => {
        const at = `${name}.${b}.${row}`;
        expect(largestDifference(latents, floats(`${at}.latents`)), `${at} latents`).toBeLessThan(TOLERANCE);
        expect(largestDifference(samples, floats(`${at}.samples`)), `${at} samples`).toBeLessThan(TOLERANCE);
      });
      expect(hasGolden(`${name}.${b}.${speeches.length}.latents`)).toBe(false);
    }
  });

  test('clone-limit: text, prompt and frames together fill all positions', async () => {
    const { seed, guidance, batches } = cases['clone-limit'];
    await open('clone-limit');
    const [batch] = batches;
    const [voice] = (await voicesOf(cases['clone-limit'], batch))!;
    const config = { ...cloneConfig('clone-limit'), maxPositions: MAX_LENGTH };
    const { frames, reason } = await collectFrames(
      session,
      config,
      TokenQueue.of(frontEnd.encode(`${voice.text} ${batch.texts[0]}`)),
      { noise: new TorchRandom(seed), guidanceScale: guidance, prompt: framesOf(voice.latents, config.latentDim) },
    );
    expect(reason).toBe('positions');
    const expected = framesOf(floats('clone-limit.0.0.latents'), config.latentDim);
    expect(frames).toHaveLength(expected.length);
    frames.forEach((frame, i) => expect(largestDifference(frame, expected[i]), `frame ${i}`).toBeLessThan(TOLERANCE));
  });
});

test('a voice is computed once: later speech computes only what its own text changes', async () => {
  await open('clone');
  const [{ texts, prompts, lengths }] = cases.clone.batches;
  const [voice] = (await voicesOf(cases.clone, { texts, prompts, lengths }))!;
  const speak = async (text: string, prompt: { text: string; latents: Float32Array }) => {
    const before = session.prefilledPositions;
    const { latents } = await tts.generate(text, { prompt, seed: 42, guidanceScale: 2, maxFrames: 5 });
    return { latents, positions: session.prefilledPositions - before };
  };
  const [first, again] = [await speak(texts[0], voice), await speak(texts[0], voice)];
  const tokens = frontEnd.createStream().push(`${voice.text} `).length;
  // The prompt's text of the one row, the end token and all frames but the last of the other.
  expect(first.positions - again.positions).toBe(tokens + voice.frames);
  expect(largestDifference(again.latents, first.latents)).toBeLessThan(TOLERANCE);
  const other = await speak('Nothing moved at all.', voice);
  const anew = await speak('Nothing moved at all.', { text: voice.text, latents: voice.latents });
  expect(other.positions).toBe(anew.positions - tokens - voice.frames);
  expect(largestDifference(other.latents, anew.latents)).toBeLessThan(TOLERANCE);
});
