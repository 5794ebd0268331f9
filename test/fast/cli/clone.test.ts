import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { writeAudio } from '../../../src/audio/write-audio.js';
import { Voice } from '../../../src/generate/voice.js';
import { runFake } from './fake-world.js';

let folder: string;
let out: string;
let audio: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sled-clone-'));
  out = join(folder, 'a.wav');
  audio = join(folder, 'prompt.wav');
  await writeAudio(audio, new Float32Array(2400).fill(0.5), 24_000);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const seconds = async (path: string) => decodeWav(await readFile(path)).samples.length / 24_000;

describe('clone', () => {
  it('makes a voice of the recording and speaks the new text with it', async () => {
    const { code, stderr, speaker } = await runFake(['clone', '--audio', audio, '--text', 'old', 'new', 'text', '--out', out]); // prettier-ignore
    expect([code, stderr]).toEqual([0, '']);
    expect(speaker.recording).toMatchObject({ sampleRate: 24_000, text: 'old' });
    expect(speaker.recording?.seconds).toBeUndefined();
    expect(speaker.calls[0]).toMatchObject({ prompt: { text: 'old' } });
    expect(speaker.calls[0].includePrompt).toBeUndefined();
    expect(await seconds(out)).toBeCloseTo(0.8);
  });

  it('continues the first three seconds with --continue, and keeps their sound', async () => {
    const { code, speaker } = await runFake(['clone', '--audio', audio, '--text', 'all of it', '--continue', '--out', out]); // prettier-ignore
    expect(code).toBe(0);
    expect(speaker.recording).toMatchObject({ text: '', seconds: 3 });
    expect(speaker.calls[0]).toMatchObject({ prompt: { text: '' }, includePrompt: true });
    expect(await seconds(out)).toBeCloseTo(0.9);
  });

  const wrong: [string, string[], RegExp][] = [
    ['no recording', ['--text', 'old', 'new'], /required option '--audio <file>'/],
    ['no text of the recording', ['--audio', 'prompt.wav', 'new'], /required option '--text <text>'/],
    ['an empty one', ['--audio', 'prompt.wav', '--text', ' ', 'new'], /expected what the recording says/],
    ['nothing to say', ['--audio', 'prompt.wav', '--text', 'old'], /expected some text/],
    ['a text beside --continue', ['--audio', 'prompt.wav', '--text', 'old', '--continue', 'new'], /leave the other text out/],
    ['a recording that is not there', ['--audio', 'no.wav', '--text', 'old', 'new'], /no\.wav: no such file/],
  ]; // prettier-ignore
  it.each(wrong)('refuses %s with one line and no file', async (_title, args, message) => {
    const before = process.cwd();
    process.chdir(folder);
    try {
      const { code, stderr } = await runFake(['clone', ...args]);
      expect(code).toBe(1);
      expect(stderr).toMatch(message);
      expect(stderr).toMatch(/^sled-tts: [^\n]+\n$/);
      expect(await readdir(folder)).toEqual(['prompt.wav']);
    } finally {
      process.chdir(before);
    }
  });
});

describe('voices from files', () => {
  it('voice make stores what the recording became', async () => {
    const file = join(folder, 'my.voice');
    const { code, stdout, speaker } = await runFake(['voice', 'make', '--audio', audio, '--text', 'old', '--out', file, '--codec', 'c']); // prettier-ignore
    expect([code, stdout.toString(), speaker.saved]).toEqual([0, `1.00 s of speech: ${file}\n`, file]);
    expect(speaker.recording).toMatchObject({ sampleRate: 24_000, text: 'old' });
  });

  it.each(['say', 'stream'])('%s --voice speaks with one', async (verb) => {
    const codec = { sampleRate: 24_000, hopLength: 320, latentDim: 2, channelScale: Float32Array.of(1, 1) };
    const file = join(folder, 'my.voice');
    new Voice({ text: 'old', latents: Float32Array.of(1, 2, 3, 4) }, codec).save(file);
    const { code, speaker } = await runFake([verb, '--voice', file, '--out', out], 'new');
    expect(code).toBe(0);
    expect(speaker.calls[0].prompt).toBeInstanceOf(Voice);
    expect(speaker.calls[0].prompt).toMatchObject({ text: 'old', latents: Float32Array.of(1, 2, 3, 4) });
  });

  it.each(['say', 'stream'])('%s --voice says in one line that a file is none, before anything is loaded', async (verb) => {
    const file = join(folder, 'my.voice');
    await writeFile(file, 'nothing of the kind');
    const { code, stderr, loaded } = await runFake([verb, '--voice', file, '--out', out], 'new');
    expect([code, loaded]).toEqual([1, []]);
    expect(stderr).toMatch(/^sled-tts: .*my\.voice: .*is this a safetensors file[^\n]*\n$/);
  }); // prettier-ignore
});

describe('say', () => {
  it('writes what the network drew with --latents, as NumPy reads it', async () => {
    await runFake(['say', 'ab', '--out', out, '--latents', join(folder, 'a.npy')]);
    const bytes = await readFile(join(folder, 'a.npy'));
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from('\x93NUMPY\x01\x00', 'latin1'));
    const header = bytes.subarray(10, 10 + bytes.readUInt16LE(8)).toString();
    expect(header).toMatch(/^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2, 2\), \} *\n$/);
    expect((10 + header.length) % 64).toBe(0);
    const values = Array.from({ length: 4 }, (_, i) => bytes.readFloatLE(10 + header.length + 4 * i));
    expect(values).toEqual([1, 97, 2, 98]);
    expect(bytes).toHaveLength(10 + header.length + 16);
  });

  it('leaves no latents behind when speaking is stopped', async () => {
    const controller = new AbortController();
    const speaking = runFake(['say', 'abc', '--out', out, '--latents', join(folder, 'a.npy')], '', { signal: controller.signal }); // prettier-ignore
    controller.abort(new Error('enough'));
    expect((await speaking).code).not.toBe(0);
    expect(await readdir(folder)).toEqual(['prompt.wav']);
  });

  it('writes --count readings into numbered files', async () => {
    const { code, stdout } = await runFake(['say', 'abc', '--out', out, '--count', '2', '--latents', join(folder, 'l.npy')]); // prettier-ignore
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/^0\.30 s of speech: .*a-1\.wav\n0\.30 s of speech: .*a-2\.wav\n$/);
    expect((await readdir(folder)).sort()).toEqual(['a-1.wav', 'a-2.wav', 'l-1.npy', 'l-2.npy', 'prompt.wav']);
    expect(await readFile(join(folder, 'a-1.wav'))).not.toEqual(await readFile(join(folder, 'a-2.wav')));
    expect((await runFake(['say', 'abc', '--out', '-', '--count', '2'])).stderr).toMatch(/several files/);
  });

  it('hands the codec on', async () => {
    expect((await runFake(['say', 'abc', '--out', out, '--codec', 'c'])).loaded[0]).toMatchObject({ codec: 'c' });
  });
});
