import { afterAll, beforeAll, expect, test } from 'vitest';
import { graphComputations } from '@sled-tts/ggml';
import { generateFrames } from '../../../src/generate/generate-frames.js';
import { openSession } from '../../../src/generate/open-session.js';
import type { Session } from '../../../src/generate/session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import { lcg } from '../codec/tiny.js';
import { EXACT, goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';

const config = goldenConfig('even-stream');
/** Another number of rows takes another matrix kernel, whose float32 sums run in another order. */
const ROUNDING = 2e-4;
const STREAMS = 24;
const LONGEST = 30;

let session: Session;
beforeAll(async () => {
  session = await openSession(config, hashedCheckpoint(config, new Float32Array(config.width)), {
    ...EXACT,
    maxStreams: STREAMS,
  });
});
afterAll(() => session.free());

interface Plan {
  seed: number;
  guidanceScale: number;
  frames: number;
  tokens: number;
  /** Steps of the session before it joins. */
  start: number;
  /** Whether it is aborted after its frames; else it ends by itself. */
  aborted: boolean;
}

/** Plans of streams that come and go at any step, the same ones for a seed. */
function randomPlans(seed: number): Plan[] {
  const random = lcg(seed);
  const below = (n: number) => Math.floor(((random() + 1) / 2) * n);
  return Array.from({ length: STREAMS }, (_, i) => {
    const frames = 1 + below(LONGEST);
    const turns = 1 + Math.floor(frames / config.framesPerTurn); // a stream must not wait for text
    return {
      seed: i + 1,
      guidanceScale: below(3) + 1,
      frames,
      tokens: turns * config.textPerTurn + below(20),
      start: below(LONGEST),
      aborted: below(3) === 0,
    };
  });
}

/** Frames of a plan. */
async function speak({ seed, guidanceScale, frames, tokens, aborted }: Plan): Promise<Float32Array[]> {
  const controller = new AbortController();
  const text = new TokenQueue(); // left open: nothing but the plan ends it
  text.push([0, ...Array.from({ length: tokens }, (_, i) => 4 + ((i * 7 + seed) % 36))]);
  const options = { noise: new TorchRandom(seed), guidanceScale, maxFrames: aborted ? Infinity : frames };
  const drawn: Float32Array[] = [];
  try {
    for await (const frame of generateFrames(session, config, text, { ...options, signal: controller.signal })) {
      drawn.push(frame);
      if (aborted && drawn.length === frames) controller.abort(new Error('enough'));
    }
  } catch (error) {
    if (error !== controller.signal.reason) throw error;
  }
  return drawn;
}

/** Waits for a step of the session, counted from `origin`, or for its end where nothing is left to compute. */
async function reached(step: number, origin: number): Promise<void> {
  while (session.steps - origin < step && session.streams > 0) await new Promise(setImmediate);
}

test.each([1, 2])('streams that join and leave at random frames draw what each draws alone (plan %i)', async (seed) => {
  const plans = randomPlans(seed);
  const alone: Float32Array[][] = [];
  let prefills = session.prefills;
  for (const plan of plans) alone.push(await speak(plan));
  prefills = session.prefills - prefills;
  const before = { steps: session.steps, prefills: session.prefills };
  const speaking: Promise<Float32Array[]>[] = [];
  for (const plan of plans.toSorted((a, b) => a.start - b.start)) {
    await reached(plan.start, before.steps);
    speaking[plan.seed - 1] = speak(plan);
  }
  const together = await Promise.all(speaking);
  plans.forEach((plan, i) => {
    expect(together[i], `stream ${i}`).toHaveLength(plan.frames);
    together[i].forEach((frame, t) =>
      expect(largestDifference(frame, alone[i][t]), `stream ${i}, frame ${t}`).toBeLessThan(ROUNDING),
    );
  });
  // All that are open are drawn in one graph: as many as the last to end needs, and one more for each that joins late.
  const most = Math.max(...plans.map(({ start, frames }) => start + frames)) + STREAMS;
  expect(session.steps - before.steps).toBeLessThanOrEqual(most);
  expect(plans.reduce((sum, { frames }) => sum + frames, 0)).toBeGreaterThan(2 * most);
  expect(session.prefills - before.prefills).toBe(prefills);
  expect(session.streams).toBe(0);
});

test('an aborted stream frees its place before anything more is computed, and its rows go to the next', async () => {
  const options = { noise: new TorchRandom(1), guidanceScale: 2 };
  const controller = new AbortController();
  const text = new TokenQueue();
  text.push([0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
  const going = generateFrames(session, config, text, { ...options, signal: controller.signal });
  const staying = session.open({ ...options, noise: new TorchRandom(2) });
  await going.next();
  expect(session.streams).toBe(2);
  const next = going.next(); // its rows wait for the other stream, or are being computed
  controller.abort(new Error('enough'));
  await expect(next).rejects.toThrow('enough');
  expect(session.streams).toBe(1);
  const computed = graphComputations();
  const [taken, free] = [staying.conditional.slot, session.open(options)];
  expect(graphComputations()).toBe(computed);
  expect([free.conditional.slot, free.unconditional?.slot].sort()).toEqual(taken === 0 ? [2, 3] : [0, 1]);
  free.close();
  staying.close();
  expect(session.streams).toBe(0);
});
