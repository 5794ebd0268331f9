#!/usr/bin/env node
// Holds the times of words against the teacher's: node word-timings.mjs MANIFEST.jsonl [MODEL]
// The manifest and its sound are synthesize.py's. The network is given the teacher's frames in place of its own, so that the
// truth is known: when each phoneme begins and ends. Prints how far the starts and ends of words are from it.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAudio, TorchRandom } from '../../dist/index.js';
import { textAttention } from '../../dist/generate/generate-frames.js';
import { loadVoice } from '../../dist/generate/load-voice.js';
import { WordAligner } from '../../dist/generate/word-aligner.js';
import { phonemeId } from '../../dist/text/index.js';

const [manifest, model = fileURLToPath(new URL('../../voices/wren', import.meta.url))] = process.argv.slice(2);
const { config, session, codec } = await loadVoice(model);
const frameSeconds = codec.hopLength / codec.sampleRate;
const [starts, ends] = [[], []];
for (const line of readFileSync(manifest, 'utf8').trim().split('\n')) {
  const cut = JSON.parse(line);
  const { phonemes, begin, ends: phonemeEnds } = cut.supervisions[0].custom;
  const words = wordsOf(phonemes);
  for (const { word, start, end } of await align(phonemes, words, await latentsOf(cut))) {
    const { first, last } = words.find((one) => one?.start === word.start);
    starts.push(start * frameSeconds - (first === 0 ? begin : phonemeEnds[first - 1]) / codec.sampleRate);
    ends.push(end * frameSeconds - phonemeEnds[last] / codec.sampleRate);
  }
}
report('starts', starts);
report('ends', ends);
await session.free();
codec.free();

/** The word of each phoneme; words are numbered in place of a text's characters. */
function wordsOf(phonemes) {
  let [count, current] = [0, undefined];
  return phonemes.map((phoneme, i) => {
    if (/^[ ,.!?;:—]$/.test(phoneme)) return (current = undefined);
    current ??= { start: count, end: ++count, first: i };
    current.last = i;
    return current;
  });
}

async function latentsOf({ custom: { startSample, numSamples }, recording: { sources } }) {
  const { samples } = await readAudio(join(dirname(manifest), sources[0].source));
  return codec.encode(samples.slice(startSample, startSample + numSamples));
}

/** Words as generation would tell them, were these frames [T, D] the drawn ones. */
async function align(phonemes, words, latents) {
  const [frames, told] = [latents.length / config.latentDim, []];
  const utterance = { certain: 1, wordOf: (index) => words[index - 1] };
  const aligner = new WordAligner(utterance, config, (word) => told.push(word));
  const stream = session.open({ guidanceScale: 1, noise: new TorchRandom(0), watched: true });
  const ids = [config.bosId, ...phonemes.map(phonemeId), config.eosId];
  const textAt = [];
  for (let [read, frame] = [0, 0]; frame < frames;) {
    const turn = ids.slice(read, (read += config.textPerTurn));
    turn.forEach((_, i) => textAt.push(stream.length + i));
    stream.feedText(turn);
    for (let k = 0; frame < frames && (read >= ids.length || k < config.framesPerTurn); k++, frame++) {
      const { headScores } = await stream.step();
      aligner.push(textAttention(headScores, textAt));
      stream.feedFrame(latents.slice(frame * config.latentDim, (frame + 1) * config.latentDim));
    }
  }
  stream.close();
  aligner.end({ tokens: ids.length, frames, expected: frames, given: 0, continued: false });
  return told;
}

function report(name, differences) {
  const sizes = differences.map(Math.abs).toSorted((a, b) => a - b);
  const at = (share) => `${(1000 * sizes[Math.floor(share * (sizes.length - 1))]).toFixed(0)} ms`;
  console.log(`${name}: ${sizes.length} words, median ${at(0.5)}, 90th percentile ${at(0.9)}, largest ${at(1)}`);
}
