import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { babble, TINY } from './tiny.js';

/** Writes `speech.wav` with `count` utterances of 1 to 1.5 s one after another, and `manifest.jsonl`; its path. */
export function writeCorpus(directory: string, count: number): string {
  const lengths = Array.from({ length: count }, (_, i) => 7920 + 480 * (i % 9));
  const total = lengths.reduce((a, b) => a + b, 0);
  const wav = Buffer.alloc(44 + total * 2);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + total * 2, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  [16, 1 | (1 << 16), TINY.sampleRate, TINY.sampleRate * 2, 2 | (16 << 16)].forEach((x, i) => wav.writeUInt32LE(x, 16 + 4 * i)); // prettier-ignore
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(total * 2, 40);
  let start = 0;
  const lines = lengths.map((length, i) => {
    babble(length, TINY.sampleRate, i + 1).forEach((x, n) =>
      wav.writeInt16LE(Math.round(x * 32000), 44 + (start + n) * 2),
    );
    const custom = { startSample: start, numSamples: length };
    start += length;
    const duration = length / TINY.sampleRate;
    return JSON.stringify({ id: `u${i}`, duration, recording: { sources: [{ source: 'speech.wav' }] }, custom });
  });
  writeFileSync(join(directory, 'speech.wav'), wav);
  const manifest = join(directory, 'manifest.jsonl');
  writeFileSync(manifest, lines.join('\n') + '\n');
  return manifest;
}
