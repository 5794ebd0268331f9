import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import { runFake } from '../cli/fake-world.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'manifest-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const wav = (name: string, seconds: number) => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), encodeWav(new Float32Array(8000 * seconds), 8000));
};
const text = (name: string, content: string) => writeFileSync(join(folder, name), content);

async function sledTts(...args: string[]) {
  const { code, stdout, stderr } = await runFake(args);
  return { code, out: stdout.toString(), err: stderr };
}

const made = (): { id: string; duration: number; supervisions: { text: string }[]; recording: { sources: { source: string }[] } }[] => // prettier-ignore
  readFileSync(join(folder, 'm.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line)); // prettier-ignore

test('makes a manifest of LJSpeech, LibriTTS, LibriSpeech and plain folders, which then passes the check', async () => {
  wav('lj/wavs/LJ001-0001.wav', 1);
  text('lj/metadata.csv', 'LJ001-0001|Dr. No, 1962.|Doctor No, nineteen sixty-two.\n');
  wav('libritts/84/121123/84_121123_000007.wav', 0.5);
  text('libritts/84/121123/84_121123_000007.original.txt', 'Chap. 2');
  text('libritts/84/121123/84_121123_000007.normalized.txt', 'Chapter two\n');
  wav('speech/1-2-0000.wav', 0.25);
  text('speech/1-2.trans.txt', '1-2-0000 HE WENT AWAY\n');
  wav('mine/hello.wav', 0.125);
  text('mine/hello.txt', 'Hello,\nthere.');
  wav('mine/silent.wav', 1);
  const { code, err } = await sledTts('manifest', 'make', folder, '--out', join(folder, 'm.jsonl'));
  expect(code).toBe(0);
  expect(err).toMatch(/mine\/silent\.wav: no transcript; left out/);
  expect(made().map(({ id, duration, supervisions }) => [id, duration, supervisions[0].text])).toEqual([
    ['libritts/84/121123/84_121123_000007', 0.5, 'Chapter two'],
    ['lj/wavs/LJ001-0001', 1, 'Doctor No, nineteen sixty-two.'],
    ['mine/hello', 0.125, 'Hello, there.'],
    ['speech/1-2-0000', 0.25, 'HE WENT AWAY'],
  ]);
  expect(made()[2].recording.sources[0].source).toBe('mine/hello.wav');
  const checked = await sledTts('manifest', 'check', join(folder, 'm.jsonl'));
  expect(checked).toMatchObject({ code: 0, out: expect.stringContaining('4 utterances of 4 recordings') });
});

const line = (changes: object, removed: string[] = []) => {
  const whole = { id: 'a', start: 0, duration: 0.5, supervisions: [{ text: 'hi' }], recording: { sources: [{ source: 'a.wav' }] }, ...changes }; // prettier-ignore
  return JSON.stringify(Object.fromEntries(Object.entries(whole).filter(([key]) => !removed.includes(key))));
};

test('lists everything that is wrong with a manifest by line, and ends with code 1', async () => {
  wav('a.wav', 1);
  text('damaged.wav', 'RIFF');
  const cases: [string, RegExp][] = [
    [line({}), /^$/],
    ['{"id":', /m\.jsonl:2: not a line of JSON/],
    [line({}).replace('0.5', 'NaN'), /m\.jsonl:3: NaN and Infinity are no numbers/],
    [line({ id: 'b', duration: -1 }), /m\.jsonl:4: expected start >= 0 and duration > 0, got 0 and -1/],
    [line({ id: 'c' }, ['duration']), /m\.jsonl:5: .*got 0 and undefined/],
    [line({ id: 'd', supervisions: [] }), /m\.jsonl:6: no text/],
    [line({ id: 'e', supervisions: [{ text: ' ' }] }), /m\.jsonl:7: no text/],
    [line({ id: 'f', recording: { sources: [{ source: 'none.wav' }] } }), /m\.jsonl:8: .*none\.wav: no such file/],
    [line({ id: 'g', recording: { sources: [{ source: 'damaged.wav' }] } }), /m\.jsonl:9: .*damaged\.wav: /],
    [line({ id: 'h', start: 0.7 }), /m\.jsonl:10: ends at 1\.200 s, but .*a\.wav has 1\.000 s/],
    [line({}), /m\.jsonl:11: the id a stands in .*m\.jsonl:1 too/],
    [line({ id: 'i', recording: {} }), /m\.jsonl:12: no recording\.sources/],
    [line({ id: 'j', start: 0.58 }), /^$/],
  ];
  text('m.jsonl', cases.map(([one]) => one).join('\n'));
  const { code, out, err } = await sledTts('manifest', 'check', join(folder, 'm.jsonl'));
  expect(code).toBe(1);
  const lines = out.trim().split('\n');
  const expected = cases.map(([, message]) => message).filter(({ source }) => source !== '^$');
  expect(lines.length).toBe(expected.length + 1);
  expected.forEach((message, i) => expect(lines[i]).toMatch(message));
  expect(err).toBe('sled-tts: 11 lines cannot be used\n');
});

test('says that a compressed manifest ends too early', async () => {
  wav('a.wav', 1);
  text('m.jsonl', '');
  const whole = gzipSync(Array.from({ length: 300 }, (_, i) => line({ id: `${i * 7919}` })).join('\n'));
  writeFileSync(join(folder, 'm.jsonl.gz'), whole.subarray(0, whole.length >> 1));
  const { code, out } = await sledTts('manifest', 'check', join(folder, 'm.jsonl.gz'));
  expect(code).toBe(1);
  expect(out).toMatch(/m\.jsonl\.gz: after line \d+: unexpected end of file/);
});

test.each([
  ['an empty folder', (path: string) => mkdirSync(path), /no recordings with transcripts/],
  ['no folder', () => {}, /no such folder/],
])('makes nothing of %s', async (_what, create, message) => {
  create(join(folder, 'x'));
  const { code, err } = await sledTts('manifest', 'make', join(folder, 'x'), '--out', join(folder, 'm.jsonl'));
  expect(code).toBe(1);
  expect(err).toMatch(message);
});
