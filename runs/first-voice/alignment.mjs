#!/usr/bin/env node
// Holds the times of phonemes that src/data/align-recordings.ts finds against the teacher's: node alignment.mjs MANIFEST.jsonl
// The manifest and its sound are synthesize.py's; nothing but the texts and the sound is looked at. Prints how far the ends of
// phonemes, and the starts of words, are from the truth.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { alignRecordings } from '../../dist/data/align-recordings.js';

const [manifest] = process.argv.slice(2);
const SAMPLE_RATE = 24_000; // the teacher's
const folder = mkdtempSync(join(tmpdir(), 'alignment-'));
const read = (path) => readFileSync(path, 'utf8').trim().split('\n').map((line) => JSON.parse(line)); // prettier-ignore
const isSounding = (phoneme) => !/^[ ,.!?;:—]$/.test(phoneme);

const cuts = read(manifest);
const truth = new Map(cuts.map(({ id, supervisions }) => [id, supervisions[0].custom]));
const bare = join(folder, 'bare.jsonl');
const withoutTruth = cuts.map(({ id, start, duration, recording, custom }) => {
  const sources = [{ source: resolve(dirname(manifest), recording.sources[0].source) }];
  return JSON.stringify({ id, start, duration, custom, supervisions: [{ text: id }], recording: { sources } });
});
writeFileSync(bare, withoutTruth.join('\n'));
const started = performance.now();
await alignRecordings({
  manifest: bare,
  out: join(folder, 'aligned.jsonl'),
  phonemesOf: (id) => truth.get(id).phonemes,
});
console.log(`${cuts.length} utterances in ${((performance.now() - started) / 1000).toFixed(1)} s`);

const [starts, ends] = [[], []];
for (const { id, supervisions } of read(join(folder, 'aligned.jsonl'))) {
  const [{ phonemes, ends: trueEnds }, found] = [truth.get(id), supervisions[0].custom.ends];
  phonemes.forEach((phoneme, k) => {
    if (!isSounding(phoneme)) return;
    ends.push(found[k] - trueEnds[k]);
    if (k > 0 && !isSounding(phonemes[k - 1])) starts.push(found[k - 1] - trueEnds[k - 1]);
  });
}
rmSync(folder, { recursive: true });
report('starts of words', starts);
report('ends of phonemes', ends);

/** Differences in samples. */
function report(name, differences) {
  const sorted = (values) => values.toSorted((a, b) => a - b);
  const sizes = sorted(differences.map(Math.abs));
  const ms = (samples) => `${Math.round((1000 * samples) / SAMPLE_RATE)} ms`;
  const at = (values, share) => ms(values[Math.floor(share * (values.length - 1))]);
  console.log(`${name}: ${sizes.length}, median ${at(sizes, 0.5)} (with its sign ${at(sorted(differences), 0.5)}), 90th percentile ${at(sizes, 0.9)}, largest ${at(sizes, 1)}`); // prettier-ignore
}
