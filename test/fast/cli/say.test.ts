import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { measureLoudness } from '../../../src/audio/loudness.js';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { runFake } from './fake-world.js';

let folder: string;
let out: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sled-say-'));
  out = join(folder, 'a.wav');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('say', () => {
  it('writes a sound file and ends with one line: length, real-time factor and file', async () => {
    const { code, stdout, stderr, speaker } = await runFake(['say', 'hello you', '--out', out]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.toString()).toMatch(/^0\.90 s of speech in \d+\.\d\d s, \d\.\d{3} of real time: .*a\.wav\n$/);
    expect(decodeWav(await readFile(out)).samples.length).toBe(9 * 2400);
    expect(speaker.freed).toBe(1);
  });

  it('joins its words, as a shell hands them over', async () => {
    await runFake(['say', 'hello', 'you', '--out', out]);
    expect(decodeWav(await readFile(out)).samples.length).toBe(9 * 2400);
  });

  it.each([[[]], [['-']]])('reads standard input with the arguments %j', async (words) => {
    await runFake(['say', ...words, '--out', out], 'hello you\n');
    expect(decodeWav(await readFile(out)).samples.length).toBe(9 * 2400);
  });

  it("writes WAV to standard output with '--out -', and the line to standard error", async () => {
    const { stdout, stderr } = await runFake(['say', 'abc', '--out', '-']);
    expect(decodeWav(stdout).samples.length).toBe(3 * 2400);
    expect(stderr).toMatch(/^0\.30 s of speech.*: -\n$/);
  });

  it.each([
    ['flac', 'fLaC'],
    ['opus', 'OggS'],
    ['wav', 'RIFF'],
  ])('writes %s with --format, to standard output too', async (format, magic) => {
    const { stdout } = await runFake(['say', 'abc', '--out', '-', '--format', format]);
    expect(stdout.toString('latin1', 0, 4)).toBe(magic);
    await runFake(['say', 'abc', '--out', out, '--format', format]);
    expect((await readFile(out)).toString('latin1', 0, 4)).toBe(magic);
  });

  it('makes the whole sound as loud as --loudness says', async () => {
    await runFake(['say', 'hello you', '--out', out, '--loudness', '-23']);
    const { samples, sampleRate } = decodeWav(await readFile(out));
    expect(measureLoudness(samples, sampleRate)).toBeCloseTo(-23, 1);
    const { stderr } = await runFake(['say', 'hello you', '--out', out, '--loudness', '0']);
    expect(stderr).toMatch(/^sled-tts: loudness: -\d+\.\d LUFS in place of 0: louder, its peaks would clip\n$/);
  });

  it('says the same again with the same seed, and another reading with another', async () => {
    const read = async (...flags: string[]) => (await runFake(['say', 'abc', '--out', '-', ...flags])).stdout;
    expect(await read()).toEqual(await read('--seed', '0'));
    expect(await read('--seed', '1')).not.toEqual(await read());
  });

  it('hands every flag on', async () => {
    const flags = [
      '--seed',
      '7',
      '--guidance',
      '1.5',
      '--temperature',
      '0.5',
      '--max-frames',
      '20',
      '--model',
      'm',
      '--threads',
      '2',
    ];
    const { speaker, loaded } = await runFake([
      'say',
      'abc',
      '--out',
      out,
      ...flags,
      '--weights',
      'q8_0',
      '--rate',
      '1.2',
    ]);
    expect(speaker.calls[0]).toMatchObject({ seed: 7, guidanceScale: 1.5, temperature: 0.5, maxFrames: 20, rate: 1.2 });
    expect(loaded[0]).toMatchObject({ model: 'm', threads: 2, weights: 'q8_0' });
  });

  it('says nothing with --quiet', async () => {
    const { stdout, stderr } = await runFake(['say', 'abc', '--out', out, '--quiet']);
    expect([stdout.length, stderr]).toEqual([0, '']);
  });

  it('says in one line that nothing can play, when asked to play', async () => {
    const path = process.env.PATH;
    process.env.PATH = folder;
    try {
      expect((await runFake(['say', 'abc', '--out', out, '--play'])).stderr).toMatch(/^sled-tts: no program.*\n$/);
      expect((await runFake(['say', 'abc', '--out', out])).stderr).toBe('');
    } finally {
      process.env.PATH = path;
    }
  });

  const wrong: [string, string[], RegExp][] = [
    ['an empty text', ['say', ''], /expected some text/],
    ['a text of blanks', ['say', ' \n '], /expected some text/],
    ['no text at all', ['say'], /expected some text/],
    ['an unknown flag', ['say', 'abc', '--sped', '2'], /unknown option '--sped'/],
    ['a seed that is no number', ['say', 'abc', '--seed', 'x'], /--seed.*expected a whole number.*'x'/],
    ['a broken seed', ['say', 'abc', '--seed', '1.5'], /--seed.*whole number/],
    ['a seed below nought', ['say', 'abc', '--seed', '-1'], /--seed.*whole number from 0/],
    ['an empty seed', ['say', 'abc', '--seed', ''], /--seed.*whole number/],
    ['a guidance that is no number', ['say', 'abc', '--guidance', 'strong'], /--guidance.*expected a number/],
    ['a negative temperature', ['say', 'abc', '--temperature', '-1'], /--temperature.*expected a number/],
    ['an endless guidance', ['say', 'abc', '--guidance', 'Infinity'], /--guidance.*expected a number/],
    ['no threads', ['say', 'abc', '--threads', '0'], /--threads.*whole number from 1/],
    ['a folder that is not there', ['say', 'abc', '--out', 'no/where/a.wav'], /no\/where\/a\.wav: no such directory/],
    ['a format that is not there', ['say', 'abc', '--out', 'a.mid'], /expected a name that ends with/],
    [
      'an unknown format',
      ['say', 'abc', '--format', 'aiff'],
      /--format.*Allowed choices are wav, flac, mp3, opus, pcm/,
    ],
    ['an unknown verb', ['sing', 'abc'], /unknown command 'sing'/],
  ];
  it.each(wrong)('refuses %s with one line, exit code 1 and no file', async (_title, args, message) => {
    const before = process.cwd();
    process.chdir(folder);
    try {
      const { code, stdout, stderr } = await runFake(args);
      expect(code).toBe(1);
      expect(stdout.length).toBe(0);
      expect(stderr).toMatch(message);
      expect(stderr).toMatch(/^sled-tts: [^\n]+\n$/);
      expect(await readdir(folder)).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });

  it('reports an error while speaking in one line, and leaves the old file as it was', async () => {
    await writeFile(out, 'old');
    const loadSpeaker = () => Promise.reject(new Error('the model is\n  not there'));
    const { code, stderr } = await runFake(['say', 'abc', '--out', out], '', { loadSpeaker });
    expect([code, stderr]).toEqual([1, 'sled-tts: the model is not there\n']);
    expect(await readFile(out, 'utf8')).toBe('old');
  });

  it('shows with --debug where an error comes from', async () => {
    const { stderr } = await runFake(['say', '', '--debug']);
    expect(stderr).toMatch(/expected some text[^]*\n {4}at /);
  });

  it('leaves nothing behind when the disk is full', async () => {
    await symlink('/dev/full', join(folder, 'full.wav'));
    const { code, stderr, speaker } = await runFake(['say', 'abc', '--out', join(folder, 'full.wav')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^sled-tts: .*no space is left on the disk.*\n$/);
    expect(speaker.freed).toBe(1);
  });

  it('prints help and version on standard output', async () => {
    expect((await runFake(['--version'])).stdout.toString()).toBe('1.2.3\n');
    const { code, stdout } = await runFake(['say', '--help']);
    expect(code).toBe(0);
    for (const flag of [
      '--out',
      '--seed',
      '--guidance',
      '--model',
      '--threads',
      '--weights',
      '--no-play',
      '--quiet',
      '--debug',
    ])
      expect(stdout.toString()).toContain(flag);
  });
});
