import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { manualSeed, setNumThreads } from '@sled-tts/torch';
import { parameterTable } from '../../../src/model/checkpoint.js';
import { parseConfig, writeConfig } from '../../../src/model/config.js';
import { readSafetensors } from '../../../src/model/safetensors.js';
import { listCheckpoints } from '../../../src/train/checkpoint.js';
import { Sled } from '../../../src/train/network.js';
import { decays } from '../../../src/train/optimizer.js';
import { ownVoiceCodec, ownVoiceRecipe, splitByText } from '../../../src/train/own-voice.js';
import { initialParameters, loadParameters } from '../../../src/train/parameters.js';
import { train } from '../../../src/train/train.js';
import { DEFAULT_TRAINING, parseTrainingConfig, scheduleFactor } from '../../../src/train/training-config.js';
import { hashedDataset } from '../../golden/hashed-dataset.mjs';
import golden from '../../golden/recipe.json' with { type: 'json' };
import trained from '../../golden/trained/losses.json' with { type: 'json' };
import { expectClose, Golden, interleaved, lossesOf, offline } from './golden-training.js';

setNumThreads(1); // tiny products: threads would only wait for each other
const root = join(import.meta.dirname, '../../..');
const readJson = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'));

test.each([
  ['libriheavy', 0],
  ['libriheavy-stream', 1],
])('configs/%s.json has the published schedule at every step', (name, i) => {
  const training = parseTrainingConfig(readJson(`configs/${name}.json`).training);
  const { warmup, steps, factors } = golden.schedules[i];
  expect([training.warmupSteps, training.steps]).toEqual([warmup, steps]);
  for (const [step, factor] of factors) expect(scheduleFactor(step, training), `step ${step}`).toBeCloseTo(factor, 12);
});

test('the two configs are one network, the second in turns', () => {
  const [first, second] = ['libriheavy', 'libriheavy-stream'].map((name) => readJson(`configs/${name}.json`).model);
  const { stream_n, stream_m, ...rest } = second;
  expect([stream_n, stream_m]).toEqual([5, 45]);
  expect(rest).toEqual(first);
  const { width, layers, headDepth, noiseDim } = parseConfig(first);
  expect({ width, layers, headDepth, noiseDim }).toEqual({ width: 1024, layers: 12, headDepth: 6, noiseDim: 128 });
});

test('weight decay spares the same parameters as the released groups', () => {
  const names = parameterTable(offline);
  const of = (wanted: boolean) => names.filter(({ name }) => decays(name) === wanted).map(({ released }) => released).sort(); // prettier-ignore
  expect(of(true)).toEqual([...golden.decayed].sort());
  expect(of(false)).toEqual([...golden.spared].sort());
});

test('initial values have the released means, deviations and bounds', () => {
  const config = parseConfig({ ...golden.sizes, num_hidden_layers: 2 });
  manualSeed(0);
  const ours = initialParameters(config, 'released');
  const initial: Record<string, number[]> = golden.initial;
  for (const { name, released, shape } of parameterTable(config)) {
    const values = ours.get(name)!.toFloat32Array();
    const n = values.length;
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const std = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, n - 1));
    const [theirMean, theirStd, theirMost] = initial[released];
    // two samples of n values: their means differ by less than 6 standard errors, their deviations by less than 6 / sqrt(2 n)
    expect(Math.abs(mean - theirMean), `${released} [${shape}] mean`).toBeLessThanOrEqual((6 * theirStd * Math.SQRT2) / Math.sqrt(n)); // prettier-ignore
    expect(Math.abs(std - (theirStd || 0)), `${released} deviation`).toBeLessThanOrEqual((6 * (theirStd || 0)) / Math.sqrt(n)); // prettier-ignore
    const most = values.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
    expect(most, `${released} largest`).toBeLessThanOrEqual(theirMost * 1.5);
  }
});

test('the released code gets our losses from a checkpoint that was trained here', () => {
  const { tensors } = readSafetensors(join(root, 'test/golden/trained/model.safetensors'));
  for (const [name, config] of [
    ['offline-two', offline],
    ['interleaved-two', interleaved],
  ] as const) {
    const { energy, total, missing, unexpected, mismatched } = trained[name];
    expect([missing, unexpected, mismatched]).toEqual([['bceloss.pos_weight'], [], []]); // a constant of theirs
    const ours = lossesOf(new Golden(name), new Sled(loadParameters(config, tensors), config));
    expectClose(ours.energy.toFloat32Array(), Float32Array.of(energy), 1e-5, `${name} energy`);
    expectClose(ours.total.toFloat32Array(), Float32Array.of(total), 1e-5, `${name} total`);
  }
});

test('what the trainer writes today has the names, shapes and config of that checkpoint', async () => {
  const out = mkdtempSync(join(tmpdir(), 'trained-'));
  const training = { ...DEFAULT_TRAINING, steps: 2, warmupSteps: 1, decaySteps: 1, precision: 'f32' as const, maxSecondsPerBatch: 60 }; // prettier-ignore
  await train({ data: hashedDataset(interleaved), frameRate: 1, out, model: interleaved, training, threads: 1 });
  const last = listCheckpoints(out).at(-1)!;
  const shapes = (path: string) => [...readSafetensors(path).tensors].map(([name, { shape, dtype }]) => [name, shape, dtype]); // prettier-ignore
  expect(shapes(join(last, 'model.safetensors'))).toEqual(shapes(join(root, 'test/golden/trained/model.safetensors')));
  expect(JSON.parse(readFileSync(join(last, 'config.json'), 'utf8'))).toEqual(writeConfig(interleaved));
  const known = readJson('test/golden/trained/config.json');
  expect(writeConfig(interleaved)).toEqual(expect.objectContaining(known));
  rmSync(out, { recursive: true });
});

test("a voice of one's own holds the same sentence on one side, at least one of them out", () => {
  const lines = Array.from({ length: 600 }, (_, i) => `Sentence ${i % 200}.`);
  const { train, heldOut } = splitByText(lines, (line) => line);
  expect(train.length + heldOut.length).toBe(600);
  expect(heldOut.length % 3).toBe(0);
  expect(heldOut.length).toBeGreaterThan(12);
  expect(heldOut.length).toBeLessThan(60);
  expect(heldOut.filter((line) => train.includes(line))).toEqual([]);
  expect(splitByText(['a', 'b'], (line) => line).heldOut.length).toBe(1);
});

test("a voice of one's own hears an hour seven times, at the rates of a new voice, and its codec once", () => {
  const heads = [
    [2, 0],
    [4, 0],
  ] as const;
  const [short, hour] = [ownVoiceRecipe(60, []), ownVoiceRecipe(3600, heads)];
  expect([short.steps, hour.steps]).toEqual([400, 1600]);
  const fresh = readJson('configs/first-voice.json').training;
  expect(hour.learningRate).toBe(fresh.learningRate);
  expect(hour.matrixLearningRate).toBe(fresh.matrixLearningRate);
  expect([hour.alignmentWeight, hour.guidedHeads]).toEqual([0.5, heads]);
  expect([short.alignmentWeight, short.guidedHeads]).toEqual([0, []]);
  expect([60, 2400, 36_000].map((seconds) => ownVoiceCodec(seconds).steps)).toEqual([200, 300, 400]);
});
