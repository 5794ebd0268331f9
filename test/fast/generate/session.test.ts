import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { graphComputations, liveObjects, openGgml } from '@sled-tts/ggml';
import { generateFrames } from '../../../src/generate/generate-frames.js';
import { openSession } from '../../../src/generate/open-session.js';
import type { Session } from '../../../src/generate/session.js';
import { TokenQueue } from '../../../src/generate/token-source.js';
import { TorchRandom } from '../../../src/generate/torch-random.js';
import type { SledConfig } from '../../../src/model/config.js';
import { CheckpointError } from '../../../src/model/errors.js';
import { collectFrames, EXACT, goldenConfig, hashedCheckpoint, largestDifference } from './golden-cases.js';

const config = goldenConfig('even-stream');
/** Another batch size takes another matrix kernel, whose float32 sums run in another order. */
const ROUNDING = 2e-4;
const text = (length: number, seed = 1) => [0, ...Array.from({ length }, (_, i) => 4 + ((i * 7 + seed * 11) % 36)), 2];
const never = new Float32Array(config.width); // a score of 0 is a probability of one half
const speechless = hashedCheckpoint(config, never);

let session: Session;
beforeAll(async () => {
  session = await openSession(config, speechless, EXACT);
});
afterAll(() => session.free());

interface Take {
  seed?: number;
  guidanceScale?: number;
  frames?: number;
  ids?: number[];
  on?: Session;
  settings?: SledConfig;
}

/** Frames of one text; with a text left open the score stops nothing. */
async function take({
  seed = 3,
  guidanceScale = 2,
  frames = 20,
  ids = text(40),
  on = session,
  settings = config,
}: Take) {
  const queue = new TokenQueue();
  queue.push(ids);
  const options = { noise: new TorchRandom(seed), guidanceScale, maxFrames: frames };
  return (await collectFrames(on, settings, queue, options)).frames;
}

const differences = (a: Float32Array[], b: Float32Array[]) =>
  a.length === b.length ? Math.max(...a.map((frame, i) => largestDifference(frame, b[i]))) : Infinity;

const ggml = openGgml();
const cpu = ggml.backend('cpu', { threads: 1 });
const hasKernels = cpu.kernels !== undefined;
cpu.free();

describe('with two threads', () => {
  let shared: Session;
  beforeAll(async () => {
    shared = await openSession(config, speechless, { ...EXACT, threads: 2 });
  });
  afterAll(() => shared.free());

  test.each([1, 2])('guidance %s draws what one worker draws', async (guidanceScale) => {
    const alone = await take({ guidanceScale });
    expect(differences(await take({ guidanceScale, on: shared }), alone)).toBeLessThan(ROUNDING);
  });

  test('streams that join, leave and have guidance of their own draw what each draws alone', async () => {
    const takes: Take[] = [
      { seed: 1, ids: text(40, 1) },
      { seed: 2, ids: text(33, 2), guidanceScale: 1, frames: 9 },
      { seed: 3, ids: text(29, 3), guidanceScale: 3, frames: 25 },
    ];
    const alone: Float32Array[][] = [];
    for (const each of takes) alone.push(await take(each));
    const first = takes.map((each) => take({ ...each, on: shared }));
    await first[1];
    const late = take({ seed: 7, frames: 5, on: shared });
    for (const [i, frames] of (await Promise.all(first)).entries())
      expect(differences(frames, alone[i]), `stream ${i}`).toBeLessThan(ROUNDING);
    expect(differences(await late, await take({ seed: 7, frames: 5 }))).toBeLessThan(ROUNDING);
  });

  const graphsOf = async (work: () => Promise<unknown>) => {
    await work();
    const [prefills, steps, graphs] = [shared.prefills, shared.steps, graphComputations()];
    await work();
    expect(shared.steps - steps).toBe(20);
    return graphComputations() - graphs - (shared.prefills - prefills);
  };

  test.each([2, 4])(
    'a step of %i streams is one graph where a thread has help, else two trunks and a head, and noise ahead',
    async (streams) => {
      const all = () => Promise.all(Array.from({ length: streams }, (_, seed) => take({ seed, on: shared })));
      // Noise is gone through four frames ahead, but for the first, for which nothing has looked ahead.
      expect(await graphsOf(all)).toBe(hasKernels ? 20 : 20 * 3 + 1 + 20 / 4);
    },
  );

  test('a step of one row is one graph', async () => {
    expect(await graphsOf(() => take({ guidanceScale: 1, on: shared }))).toBe(20);
  });
});

test('going through noise ahead changes no frame, also where streams that look ahead at other times are beside it', async () => {
  const ahead = await openSession(config, speechless, { ...EXACT, framesAhead: 3 });
  const takes = [1, 2, 3].map((seed): Take => ({ seed, frames: 5 * seed, guidanceScale: seed }));
  const alone: Float32Array[][] = [];
  for (const each of takes) alone.push(await take(each));
  const together = [take({ ...takes[2], on: ahead })];
  await take({ ...takes[0], on: ahead });
  together.unshift(take({ ...takes[1], on: ahead }));
  expect(differences(await together[0], alone[1])).toBeLessThan(ROUNDING);
  expect(differences(await together[1], alone[2])).toBeLessThan(ROUNDING);
  const graphs = graphComputations() - ahead.prefills;
  await take({ ...takes[0], on: ahead });
  expect(graphComputations() - ahead.prefills - graphs).toBe(5);
  await ahead.free();
});

test('the same seed draws the same frames twice, another seed other ones', async () => {
  const [first, again, other] = [await take({}), await take({}), await take({ seed: 4 })];
  expect(differences(first, again)).toBe(0);
  expect(differences(first, other)).toBeGreaterThan(0.1);
});

test('guidance 1 computes one row and draws what two rows would', async () => {
  const single = await take({ guidanceScale: 1 });
  const double = await take({ guidanceScale: 1 + 1e-7 });
  expect(differences(single, double)).toBeLessThan(ROUNDING);
  expect(differences(single, await take({ guidanceScale: 2 }))).toBeGreaterThan(0.01);
});

test('streams that are stepped together draw what each draws alone', async () => {
  const takes: Take[] = [
    { seed: 1, ids: text(40, 1) },
    { seed: 2, ids: text(33, 2), guidanceScale: 1, frames: 9 },
    { seed: 3, ids: text(29, 3), guidanceScale: 3, frames: 25 },
    { seed: 4, ids: text(36, 4), frames: 17 },
  ];
  const alone: Float32Array[][] = [];
  for (const each of takes) alone.push(await take(each));
  const together = await Promise.all(takes.map(take));
  takes.forEach((_, i) => expect(differences(together[i], alone[i]), `stream ${i}`).toBeLessThan(ROUNDING));
});

test('four streams of 20 frames take 20 steps and their prefills', async () => {
  const together = () => Promise.all([1, 2, 3, 4].map((seed) => take({ seed })));
  await together(); // the cache grows to eight rows
  const before = session.prefills;
  await take({});
  const prefillsOfOne = session.prefills - before;
  const start = { steps: session.steps, prefills: session.prefills, graphs: graphComputations() };
  await together();
  expect(session.steps - start.steps).toBe(20);
  expect(session.prefills - start.prefills).toBe(4 * prefillsOfOne);
  expect(graphComputations() - start.graphs).toBe(20 + 4 * prefillsOfOne);
});

test('a stream that joins late and one that leaves early change nothing for the others', async () => {
  const alone = await take({ seed: 5, frames: 30 });
  const long = take({ seed: 5, frames: 30 });
  const short = take({ seed: 6, frames: 4 });
  await short;
  const late = take({ seed: 7, frames: 5 });
  expect(differences(await long, alone)).toBeLessThan(ROUNDING);
  expect(await late).toHaveLength(5);
  expect(session.streams).toBe(0);
});

test('the cache grows while streams are open, and they do not notice', async () => {
  const wide = { ...config, maxPositions: 4096 };
  const checkpoint = hashedCheckpoint(wide, never);
  const growing = await openSession(wide, checkpoint, EXACT);
  const bytes = growing.cacheBytes;
  const long = { frames: 600, on: growing, settings: wide, ids: text(430) };
  const first = await take(long);
  expect(growing.cacheBytes).toBeGreaterThan(bytes);
  const again = await take(long);
  expect(first).toHaveLength(600);
  expect(differences(first, again)).toBeLessThan(ROUNDING);
  await growing.free();
});

test('more streams than allowed are refused by name, and a closed one makes room', async () => {
  const small = await openSession(config, speechless, { ...EXACT, maxStreams: 1 });
  const options = { guidanceScale: 2, noise: new TorchRandom(0) };
  const stream = small.open(options);
  expect(() => small.open(options)).toThrow(/1 streams are open already/);
  stream.close();
  small.open(options).close();
  await expect(stream.step()).rejects.toThrow(/closed/);
  await small.free();
});

test('a token id that the network does not embed is refused before it reaches others', async () => {
  await expect(take({ ids: [0, config.vocabSize, ...text(9)] })).rejects.toThrow(
    /text: expected ids from 0 to 39, got 40/,
  );
  await expect(take({ ids: [0, -1, ...text(9)] })).rejects.toThrow(/got -1/);
  expect(session.streams).toBe(0);
});

describe('an abort', () => {
  test('stops a stream before another graph is computed, and leaves the others alone', async () => {
    const controller = new AbortController();
    const queue = new TokenQueue();
    queue.push(text(40));
    const options = { noise: new TorchRandom(1), guidanceScale: 2, signal: controller.signal };
    const frames = generateFrames(session, config, queue, options);
    for (let i = 0; i < 3; i++) await frames.next();
    const computed = graphComputations();
    controller.abort(new Error('enough'));
    await expect(frames.next()).rejects.toThrow('enough');
    expect(graphComputations()).toBe(computed);
    expect(session.streams).toBe(0);
    expect(await take({})).toHaveLength(20);
  });

  test('stops a stream that waits for text', async () => {
    const controller = new AbortController();
    const options = { noise: new TorchRandom(1), guidanceScale: 2, signal: controller.signal };
    const frames = generateFrames(session, config, new TokenQueue(), options);
    const next = frames.next();
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    expect(session.streams).toBe(0);
  });
});

test('a hundred texts leave no native object behind', async () => {
  const short = { frames: 2, ids: text(8) };
  await take(short);
  const before = liveObjects();
  for (let i = 0; i < 100; i++) await take(short);
  expect(liveObjects()).toEqual(before);
});

test('every weight type draws frames near the float32 ones', async () => {
  const exact = await take({ frames: 4 });
  const size = Math.max(...exact[0]);
  // Errors of each type on random weights, of frames of size 1 to 4.
  const bounds = { f16: 0.02, bf16: 0.15, q8_0: 0.1, q4_0: 2, q4_K: 2 } as const;
  for (const [weights, bound] of Object.entries(bounds)) {
    const packed = await openSession(config, speechless, { weights: weights as keyof typeof bounds, threads: 1 });
    const difference = differences(await take({ frames: 4, on: packed }), exact);
    expect(difference, weights).toBeLessThan(bound * size);
    expect(difference, weights).toBeGreaterThan(0);
    await packed.free();
  }
});

test('a checkpoint that does not fit lists everything that is wrong with it', async () => {
  const broken = new Map(speechless);
  broken.delete('model.norm.weight');
  broken.set('extra.weight', broken.get('z_proj.bias')!);
  broken.set('z_proj.weight', { ...broken.get('z_proj.weight')!, shape: [32, 64] });
  const opening = openSession(config, broken, { ...EXACT, source: 'broken.safetensors' });
  await expect(opening).rejects.toThrow(CheckpointError);
  await expect(opening).rejects.toThrow(
    /broken\.safetensors.*z_proj\.weight: expected \[64,32\], got \[32,64\].*missing model\.norm\.weight.*unknown extra\.weight/,
  );
});

test('an unknown weight type and an unknown device name what there is', async () => {
  const wrongType = openSession(config, speechless, { weights: 'q3' as 'f32' });
  await expect(wrongType).rejects.toThrow(/expected one of f32, f16, bf16, q8_0, q4_0, q4_K, got q3/);
  await expect(openSession(config, speechless, { device: 'tpu' })).rejects.toThrow(/got tpu/);
  const hasGpu = openGgml().devices().some(({ kind }) => kind === 'gpu'); // prettier-ignore
  const gpu = openSession(config, speechless, { device: 'gpu' });
  if (hasGpu) await (await gpu).free();
  else
    await expect(gpu).rejects.toThrow(/expected a device of CPU \(cpu\), got gpu; (npm install|ggml has no package)/);
});
