import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatTimings, type SpokenWord } from '../../../src/index.js';
import { runFake } from './fake-world.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sled-timings-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Words of a text, half a second each unless the text says otherwise: `word@seconds`. */
function spoken(text: string, startSeconds = 0): SpokenWord[] {
  let at = startSeconds;
  return text.split(' ').map((part, i) => {
    const [word, seconds] = part.split('@');
    if (seconds !== undefined) at = Number(seconds);
    const start = at;
    at += 0.5;
    return { word: word.replaceAll('_', '\n'), startSeconds: start, endSeconds: at, textStart: i, textEnd: i + 1, source: 'attention' }; // prettier-ignore
  });
}

describe('captions', () => {
  it('are SubRip, one a sentence', () => {
    expect(formatTimings(spoken('The ferry leaves. At half past seven.', 3600), 'srt')).toBe(
      '1\n01:00:00,000 --> 01:00:01,500\nThe ferry leaves.\n\n2\n01:00:01,500 --> 01:00:03,500\nAt half past seven.\n',
    );
  });

  it('are WebVTT, whose own signs are escaped', () => {
    expect(formatTimings(spoken('2 < 3 & “so”! 5_March'), 'vtt')).toBe(
      'WEBVTT\n\n00:00:00.000 --> 00:00:02.500\n2 &lt; 3 &amp; “so”!\n\n00:00:02.500 --> 00:00:03.500\n5 March\n',
    );
  });

  it('have two lines of 42 characters at most, six seconds, and no silence within', () => {
    const long = spoken(Array.from({ length: 40 }, (_, i) => `word${i}@${i / 10}`).join(' '));
    const slow = spoken('one@0 two@3 three@5.8 four@9 five@9.5');
    const cues = (words: SpokenWord[]) => formatTimings(words, 'srt').trim().split('\n\n').map((cue) => cue.split('\n').slice(2)); // prettier-ignore
    for (const lines of cues(long)) {
      expect(lines.length).toBeLessThanOrEqual(2);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(42);
    }
    expect(cues(long).flat().join(' ')).toBe(long.map(({ word }) => word).join(' '));
    expect(cues(slow)).toEqual([['one'], ['two'], ['three'], ['four five']]);
    const steady = spoken('a b c d e f g h i j k l m n');
    expect(cues(steady)).toEqual([['a b c d e f g h i j k l'], ['m n']]);
  });

  it('stay for a second, but not into the next one', () => {
    expect(formatTimings(spoken('Oh! no.@0.6'), 'srt')).toContain('00:00:00,000 --> 00:00:00,600');
    expect(formatTimings(spoken('Oh!'), 'srt')).toContain('00:00:00,000 --> 00:00:01,000');
    expect(formatTimings([], 'vtt')).toBe('WEBVTT\n');
  });
});

describe('--timings', () => {
  it.each(['say', 'stream'])('of %s writes what was told, in the format of its ending', async (verb) => {
    const path = (ending: string) => join(folder, `words.${ending}`);
    const args = verb === 'say' ? ['say', 'ab.'] : ['stream'];
    for (const ending of ['json', 'srt', 'VTT']) {
      const { code } = await runFake([...args, '--out', join(folder, 'a.wav'), '--timings', path(ending)], 'ab.');
      expect(code).toBe(0);
    }
    const { words } = JSON.parse(await readFile(path('json'), 'utf8'));
    expect(words.map(({ word }: SpokenWord) => word)).toEqual(['a', 'b', '.']);
    expect(await readFile(path('srt'), 'utf8')).toMatch(/^1\n00:00:00,000 --> 00:00:01,000\na b \.\n$/);
    expect(await readFile(path('VTT'), 'utf8')).toMatch(/^WEBVTT\n\n00/);
  });

  it('are numbered like the readings', async () => {
    const flags = ['--out', join(folder, 'a.wav'), '--count', '2', '--timings', join(folder, 'w.srt')];
    expect((await runFake(['say', 'ab', ...flags])).code).toBe(0);
    expect((await readdir(folder)).sort()).toEqual(['a-1.wav', 'a-2.wav', 'w-1.srt', 'w-2.srt']);
  });

  it('asks for nothing where it is left out, and names the endings that there are', async () => {
    const { speaker } = await runFake(['say', 'ab', '--out', join(folder, 'a.wav')]);
    expect(speaker.calls[0].onWord).toBeUndefined();
    const { code, stderr } = await runFake(['say', 'ab', '--timings', 'words.txt']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^sled-tts: .*--timings.*ends with \.json, \.srt, \.vtt, got 'words\.txt'[^\n]*\n$/)]); // prettier-ignore
  });
});
