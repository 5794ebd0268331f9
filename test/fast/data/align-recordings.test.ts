import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import { alignRecordings } from '../../../src/data/align-recordings.js';
import { readManifest, type Utterance } from '../../../src/data/manifest.js';
import { Random } from '../../../src/data/random.js';

const SAMPLE_RATE = 16_000;
/** Pitches, in hertz, that sound together in each phoneme. */
const SOUNDS: Record<string, [number, number]> = {
  m: [250, 1100], s: [5200, 6900], i: [300, 2600], ɑ: [750, 1200], u: [320, 850], n: [260, 1700], f: [4200, 7400], ɛ: [550, 1900],
}; // prettier-ignore

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'align-'))));
afterEach(() => rmSync(folder, { recursive: true }));

interface Spoken {
  phonemes: string[];
  /** Of each phoneme, in seconds. */
  ends: number[];
  samples: Float32Array;
}

/** Words of random phonemes, each 50 to 150 ms long; a comma is a pause, a space none. */
function speak(random: Random): Spoken {
  const [phonemes, ends, sound]: [string[], number[], number[]] = [[], [], []];
  const add = (phoneme: string, seconds: number, pitches: readonly number[]) => {
    for (let n = 0; n < seconds * SAMPLE_RATE; n++)
      sound.push(pitches.reduce((sum, pitch) => sum + 0.1 * Math.sin((2 * Math.PI * pitch * n) / SAMPLE_RATE), 0));
    phonemes.push(phoneme);
    ends.push(sound.length / SAMPLE_RATE);
  };
  const words = 3 + random.below(3);
  for (let word = 0; word < words; word++) {
    if (word > 0 && random.below(3) === 0) add(',', 0.15 + 0.2 * random.uniform(), []);
    if (word > 0) add(' ', 0, []);
    for (let i = 0; i < 3; i++) {
      const others = Object.keys(SOUNDS).filter(
        (phoneme) => phoneme !== phonemes.at(-1) && phoneme !== phonemes.at(-2),
      );
      const phoneme = others[random.below(others.length)];
      add(phoneme === 'i' && random.below(2) === 0 ? 'ˈi' : phoneme, 0.05 + 0.1 * random.uniform(), SOUNDS[phoneme]);
    }
  }
  const samples = Float32Array.from(sound, (x) => x + 0.002 * (random.uniform() - 0.5));
  return { phonemes, ends, samples };
}

/** Writes the recordings and their manifest, whose texts are the phonemes. */
function record(spoken: readonly Spoken[]): string {
  const lines = spoken.map(({ phonemes, samples }, i) => {
    writeFileSync(join(folder, `${i}.wav`), encodeWav(samples, SAMPLE_RATE));
    const duration = samples.length / SAMPLE_RATE;
    return JSON.stringify({ id: `${i}`, start: 0, duration, supervisions: [{ text: phonemes.join('|') }], recording: { sources: [{ source: `${i}.wav` }] } }); // prettier-ignore
  });
  writeFileSync(join(folder, 'recordings.jsonl'), lines.join('\n'));
  return join(folder, 'recordings.jsonl');
}

async function align(manifest: string): Promise<Utterance[]> {
  const out = join(folder, 'aligned', 'recordings.jsonl');
  await alignRecordings({ manifest, out, phonemesOf: (text) => text.split('|') });
  const utterances: Utterance[] = [];
  for await (const utterance of readManifest(out)) utterances.push(utterance);
  return utterances;
}

test('finds when each phoneme sounds, and pauses, from the recordings and their texts alone', async () => {
  const random = new Random(4);
  const spoken = Array.from({ length: 40 }, () => speak(random));
  const aligned = await align(record(spoken));
  expect(aligned.map(({ alignment }) => alignment?.phonemes)).toEqual(spoken.map(({ phonemes }) => phonemes));
  const errors = aligned.flatMap(({ alignment }, i) =>
    alignment!.ends.map((end, k) => Math.abs(end / SAMPLE_RATE - spoken[i].ends[k])),
  );
  errors.sort((a, b) => a - b);
  expect(errors[Math.floor(0.5 * errors.length)]).toBeLessThan(0.01);
  expect(errors[Math.floor(0.95 * errors.length)]).toBeLessThan(0.03);
});

test('leaves a recording without times that is too short for its text, and keeps what is there', async () => {
  const random = new Random(5);
  const [long, short] = [speak(random), speak(random)];
  const manifest = record([long, { ...short, samples: short.samples.subarray(0, 0.2 * SAMPLE_RATE) }]);
  const aligned = await align(manifest);
  expect(aligned.map(({ alignment }) => alignment?.phonemes)).toEqual([long.phonemes, undefined]);
  const ends = aligned[0].alignment!.ends;
  expect(ends).toEqual(ends.toSorted((a, b) => a - b));
  expect(aligned[0].path).toBe(join(folder, '0.wav'));

  const written = readFileSync(join(folder, 'aligned/recordings.jsonl'));
  rmSync(join(folder, '0.wav'));
  await align(manifest);
  expect(readFileSync(join(folder, 'aligned/recordings.jsonl'))).toEqual(written);
});
