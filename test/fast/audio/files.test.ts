import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AudioError } from '../../../src/audio/audio.js';
import { openPlayback } from '../../../src/audio/playback.js';
import { readAudio } from '../../../src/audio/read-audio.js';
import { AudioFileWriter, writeAudio } from '../../../src/audio/write-audio.js';

const tone = Float32Array.from({ length: 2400 }, (_, i) => 0.5 * Math.sin(i / 10));
const flac = new URL('fixtures/mono-24.flac', import.meta.url).pathname;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sled-audio-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('reading a file', () => {
  it('goes by the content, not by the name', async () => {
    const path = join(folder, 'really-flac.wav');
    await writeFile(path, await readFile(flac));
    const audio = await readAudio(path);
    expect([audio.sampleRate, audio.samples.length]).toEqual([44_100, 6000]);
  });

  it('resamples to the rate asked for', async () => {
    const audio = await readAudio(flac, { sampleRate: 24_000 });
    expect([audio.sampleRate, audio.samples.length]).toEqual([24_000, Math.ceil((6000 * 24_000) / 44_100)]);
  });

  it.each([
    ['a missing file', 'nothing.wav', /no such file/],
    ['a folder', '.', /no regular file/],
    ['a text', 'text.wav', /expected a sound file \(WAV, FLAC, MP3, Ogg\), got something else/],
  ])('refuses %s with one line that names it', async (_title, name, message) => {
    await writeFile(join(folder, 'text.wav'), 'Call me Ishmael.');
    const error: unknown = await readAudio(join(folder, name)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AudioError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message.startsWith(join(folder, name))).toBe(true);
  });
});

describe('writing a file', () => {
  it('writes a WAV whose length is right, also in pieces', async () => {
    const path = join(folder, 'a.wav');
    const writer = await AudioFileWriter.open(path, 24_000);
    await writer.write(tone.subarray(0, 1000));
    await writer.write(tone.subarray(1000));
    expect(await readdir(folder)).not.toContain('a.wav');
    await writer.close();
    expect(await readdir(folder)).toEqual(['a.wav']);
    const bytes = await readFile(path);
    expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8);
    expect(bytes.readUInt32LE(40)).toBe(4800);
    await writeAudio(join(folder, 'b.wav'), tone, 24_000);
    expect(await readFile(join(folder, 'b.wav'))).toEqual(bytes);
  });

  it('keeps the old file when it is given up, and leaves nothing else', async () => {
    const path = join(folder, 'a.wav');
    await writeFile(path, 'old');
    const writer = await AudioFileWriter.open(path, 24_000);
    await writer.write(tone);
    await writer.abort();
    expect(await readdir(folder)).toEqual(['a.wav']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  it('writes through a link instead of replacing it', async () => {
    await mkdir(join(folder, 'target'));
    await writeFile(join(folder, 'target', 'real.wav'), 'old');
    await symlink(join(folder, 'target', 'real.wav'), join(folder, 'link.wav'));
    await writeAudio(join(folder, 'link.wav'), tone, 24_000);
    expect((await stat(join(folder, 'target', 'real.wav'))).size).toBe(4844);
  });

  it('writes raw PCM under .pcm', async () => {
    await writeAudio(join(folder, 'a.pcm'), tone, 24_000);
    expect((await stat(join(folder, 'a.pcm'))).size).toBe(4800);
  });

  it.each([
    ['an unknown extension', 'a.xyz', /expected a name that ends with \.wav/],
    ['a folder that is not there', 'no/a.wav', /no such directory/],
    ['a folder in place of a file', 'folder.wav', /got a directory/],
  ])('refuses %s', async (_title, name, message) => {
    await mkdir(join(folder, 'folder.wav'));
    await expect(writeAudio(join(folder, name), tone, 24_000)).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual(['folder.wav']);
  });

  it('says that the disk is full', async () => {
    await symlink('/dev/full', join(folder, 'full.wav'));
    const error: unknown = await writeAudio(join(folder, 'full.wav'), tone, 24_000).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AudioError);
    expect((error as Error).message).toMatch(/no space is left/);
    expect((await stat('/dev/full')).isCharacterDevice()).toBe(true);
  });
});

describe('playback', () => {
  const player = async (name: string, script: string) => {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, name), 0o755);
  };
  it('is not there where no player is installed', () => {
    expect(openPlayback(24_000, folder)).toBeUndefined();
  });

  it('pipes 16-bit sound into a player as it comes', async () => {
    await player('aplay', `echo "$@" > ${folder}/args; /bin/cat > ${folder}/heard`);
    const playback = openPlayback(24_000, folder);
    expect(playback?.player).toBe('aplay');
    for (let i = 0; i < 100; i++) await playback?.write(tone);
    await playback?.end();
    expect((await stat(join(folder, 'heard'))).size).toBe(480_000);
    expect(await readFile(join(folder, 'args'), 'utf8')).toContain('-r 24000');
  });

  it('hands a file to a player that reads no pipe', async () => {
    await player('afplay', `/bin/cat "$1" > ${folder}/heard`);
    const playback = openPlayback(24_000, folder);
    await playback?.write(tone);
    await playback?.end();
    expect((await readAudio(join(folder, 'heard'))).samples.length).toBe(2400);
  });

  it("fails with the player's own words, as on a machine without a sound card", async () => {
    await player('aplay', 'echo "aplay: cannot open audio device" >&2; exit 1');
    const playback = openPlayback(24_000, folder);
    for (let i = 0; i < 100; i++) await playback?.write(tone);
    await expect(playback?.end()).rejects.toThrow(/^aplay: cannot open audio device$/);
  });

  it('falls silent when it is stopped', async () => {
    await player('aplay', 'exec /bin/sleep 20');
    const playback = openPlayback(24_000, folder);
    setTimeout(() => playback?.stop(), 50);
    await playback?.end();
  });
});
