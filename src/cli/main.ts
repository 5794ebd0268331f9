#!/usr/bin/env node
import type { WeightType } from '../generate/weights.js';
import { runProcess } from './process.js';

await runProcess(async ({ weights, ...options }) => {
  const { SledTts } = await import('../sled-tts.js');
  return SledTts.load({ ...options, weights: weights as WeightType | undefined }); // load() checks it
});
