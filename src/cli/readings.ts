import { extname } from 'node:path';
import { writeNpy } from '../model/npy.js';
import { openOutput } from './speech-output.js';
import { writeTimings } from './timings.js';
import type { SpeakOptions, Speaker, World } from './world.js';

interface ReadingsOptions extends SpeakOptions {
  count: number;
  out: string;
  format?: string;
  latents?: string;
  timings?: string;
  quiet?: boolean;
}

/** Speaks a text several times in one batch, into files numbered from 1. */
export async function writeReadings(
  { stdout }: World,
  speaker: Speaker,
  text: string,
  { count, out, format, latents, timings, quiet, ...options }: ReadingsOptions,
): Promise<void> {
  if (out === '-') throw new Error("say: '--count' writes several files; name the first with --out");
  const speeches = await speaker.generateBatch([text], { ...options, count, words: timings !== undefined });
  for (const [i, { samples, frames, words, ...speech }] of speeches.entries()) {
    const file = await openOutput(numbered(out, i + 1), stdout, speaker.sampleRate, format);
    await file.write(samples);
    await file.close();
    if (timings !== undefined) writeTimings(numbered(timings, i + 1), words);
    if (latents !== undefined)
      writeNpy(numbered(latents, i + 1), speech.latents, [frames, frames && speech.latents.length / frames]);
    if (!quiet)
      stdout.write(`${(samples.length / speaker.sampleRate).toFixed(2)} s of speech: ${numbered(out, i + 1)}\n`);
  }
}

/** `speech.wav` -> `speech-2.wav` */
function numbered(path: string, number: number): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}-${number}${extension}`;
}
