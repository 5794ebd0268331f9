#!/usr/bin/env node
// Speaks the held-out sentences, every one, once, with one seed, for runs/judge.py:
//   node runs/evaluate.mjs OUT [--model DIR] [--seed 0] [--guidance G] [--temperature T] [--threads N] [--sentences FILE] [--limit N] [--python PY] [--name LABEL]
// Writes OUT/000.wav and so on, OUT/list.tsv and OUT/speaking.json; with --python also OUT/result.tsv and OUT/result.json.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SledTts } from '../dist/sled-tts.js';

const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    seed: { type: 'string', default: '0' },
    guidance: { type: 'string' },
    temperature: { type: 'string' },
    threads: { type: 'string' },
    sentences: { type: 'string', default: pathOf('../test/evaluation/sentences.txt') },
    limit: { type: 'string', default: 'Infinity' },
    python: { type: 'string' },
    name: { type: 'string', default: 'shipped voice' },
  },
});
const [out] = positionals;
if (!out) throw new Error('evaluate: expected a folder for the sound files, got none');

/** 16-bit mono WAV. */
function wavBytes(samples, sampleRate) {
  const bytes = Buffer.alloc(44 + 2 * samples.length);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20); // PCM
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(sampleRate, 24);
  bytes.writeUInt32LE(2 * sampleRate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36);
  bytes.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((x, i) => bytes.writeInt16LE(Math.round(Math.max(-1, Math.min(1, x)) * 32767), 44 + 2 * i));
  return bytes;
}

/** One sentence's samples [N]. */
async function speak(tts, text) {
  const chunks = [];
  const options = { seed: Number(flags.seed) };
  if (flags.guidance) options.guidanceScale = Number(flags.guidance);
  if (flags.temperature) options.temperature = Number(flags.temperature);
  for await (const chunk of tts.stream(text, options)) chunks.push(...chunk);
  return chunks;
}

const sentences = readFileSync(flags.sentences, 'utf8').split('\n').filter(Boolean).slice(0, Number(flags.limit));
mkdirSync(out, { recursive: true });
const tts = await SledTts.load({ model: flags.model, ...(flags.threads && { threads: Number(flags.threads) }) });
const list = [];
let seconds = 0;
const started = performance.now();
for (const [index, text] of sentences.entries()) {
  const samples = await speak(tts, text);
  seconds += samples.length / tts.sampleRate;
  const file = `${String(index).padStart(3, '0')}.wav`;
  writeFileSync(join(out, file), wavBytes(samples, tts.sampleRate));
  list.push(`${file}\t${text}\n`);
}
const computeSeconds = (performance.now() - started) / 1000;
await tts.free();
writeFileSync(join(out, 'list.tsv'), list.join(''));
const speaking = {
  sentences: list.length,
  seed: Number(flags.seed),
  seconds,
  computeSeconds,
  realTimeFactor: computeSeconds / seconds,
};
writeFileSync(join(out, 'speaking.json'), `${JSON.stringify(speaking, null, 2)}\n`);
console.log(JSON.stringify(speaking));

if (flags.python) {
  const script = [pathOf('judge.py'), join(out, 'list.tsv'), '--out', join(out, 'result'), '--name', flags.name];
  const { status } = spawnSync(flags.python, [...script, '--threads', flags.threads ?? '2'], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
