import { expect, test } from 'vitest';
import { scope } from '@sled-tts/torch';
import { planBatches } from '../../../src/data/batches.js';
import { spokenTokens } from '../../../src/data/sample.js';
import { makeBatch } from '../../../src/train/batch.js';
import { TINY_MODEL, tinyDataset } from './tiny.js';

test('finds the tokens that sound in each frame', () => {
  // tokens end at 5, 5 (no time of its own), 12 and 30; frames of 10 samples
  expect([...spokenTokens([5, 5, 12, 30], 3, 10)]).toEqual([1, 4, 3, 5, 4, 5]);
});

test('guides attention to text that was read before the frame, and to nothing later', () => {
  scope(() => {
    const data = tinyDataset(4);
    const samples = [0, 1, 2, 3].map((i) => data.sample(i));
    const batch = makeBatch(samples, [false, true, false, false], TINY_MODEL);
    const { aligned, causal, spoken } = batch.alignment!;
    const predictors = batch.predictors.toFloat32Array();
    const S = batch.tokens.shape[1];
    const [rows, causalMask, spokenMask] = [aligned.toFloat32Array(), causal.toFloat32Array(), spoken.toFloat32Array()];
    rows.forEach((frame, i) => {
      const predictor = predictors[frame] % S;
      for (let s = 0; s < S; s++) {
        expect(causalMask[i * S + s]).toBeCloseTo(s <= predictor ? 0 : -1e9, -3);
        if (spokenMask[i * S + s] === 0) expect(s).toBeLessThanOrEqual(predictor);
      }
    });
    const [from, to] = [samples[0].frames, samples[0].frames + samples[1].frames];
    expect(
      [...rows].some((frame) => frame >= from && frame < to),
      'the sample without text',
    ).toBe(false);
    expect(rows.length).toBeGreaterThan(samples[0].frames);
  });
});

test('plans every sample once within the budget, the same for the same seed', () => {
  const frames = Int32Array.from({ length: 500 }, (_, i) => 10 + ((i * 37) % 90));
  const plan = { maxFrames: 400, groupSize: 100, seed: 3 };
  const batches = planBatches(frames, 2, plan);
  expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from(frames.keys()));
  for (const batch of batches) expect(Math.max(...batch.map((i) => frames[i])) * batch.length).toBeLessThanOrEqual(400);
  expect(planBatches(frames, 2, plan)).toEqual(batches);
  expect(planBatches(frames, 3, plan)).not.toEqual(batches);
});
