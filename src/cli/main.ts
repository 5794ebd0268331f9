#!/usr/bin/env node
import { runProcess } from './process.js';

await runProcess(async (options) => {
  const { SledTts } = await import('../sled-tts.js');
  return SledTts.load(options);
});
