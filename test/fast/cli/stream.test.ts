import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { decodeAudio } from '../../../src/audio/formats.js';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { runFake } from './fake-world.js';

describe('stream', () => {
  it('writes WAV into a pipe, and its times to standard error', async () => {
    const { code, stdout, stderr } = await runFake(['stream'], 'hello');
    expect(code).toBe(0);
    expect(decodeWav(stdout).samples.length).toBe(5 * 2400);
    expect(stderr).toMatch(/^0\.50 s of speech.*\n$/);
  });

  it('writes bare samples with --raw', async () => {
    expect((await runFake(['stream', '--raw', '--quiet'], 'hello')).stdout.length).toBe(5 * 4800);
  });

  it.each(['mp3', 'opus', 'flac'])('writes %s into a pipe that can be read back', async (format) => {
    const { stdout } = await runFake(['stream', '--format', format, '--quiet'], 'hello');
    const { samples, sampleRate } = await decodeAudio(stdout, 'pipe');
    expect(samples.length / sampleRate).toBeCloseTo(0.5, format === 'mp3' ? 0 : 3);
  });

  it('writes a file whose header has the length', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sled-stream-'));
    await runFake(['stream', '--out', join(folder, 'a.wav')], 'hello');
    expect((await readFile(join(folder, 'a.wav'))).readUInt32LE(40)).toBe(5 * 4800);
    await rm(folder, { recursive: true });
  });

  it('speaks what has arrived before the rest is there', async () => {
    const stdin = new PassThrough();
    let heard = 0;
    const stdout = new Writable({
      write(piece: Buffer, _encoding, done) {
        heard += piece.length;
        if (heard === 4800 * 2) stdin.end('there'); // only once the first word has been heard
        done();
      },
    });
    stdin.write('hi');
    const { code } = await runFake(['stream', '--raw'], stdin, { stdout });
    expect([code, heard]).toEqual([0, 4800 * 7]);
  });

  it('keeps a character whole that arrives in two pieces', async () => {
    const stdin = Readable.from([Buffer.of(0x61, 0xe2, 0x82), Buffer.of(0xac)]); // a€
    expect((await runFake(['stream', '--raw'], stdin)).stdout.length).toBe(4800 * 2);
  });

  it.each([
    ['an empty text', [], '', /expected some text/],
    ['--raw with a file', ['--raw', '--out', 'a.wav'], 'hi', /'--raw' is for standard output/],
    ['--raw with a format', ['--raw', '--format', 'mp3'], 'hi', /'--raw' is '--format pcm', not mp3/],
    ['an unknown flag', ['--sped', '2'], 'hi', /unknown option/],
    ['words as arguments', ['hi'], '', /too many arguments/],
  ])('refuses %s with one line', async (_title, flags, input, message) => {
    const { code, stderr } = await runFake(['stream', ...flags], input);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^sled-tts: [^\n]+\n$/);
  });
});
