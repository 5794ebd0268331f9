import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { liveObjects } from '@sled-tts/ggml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_MEL_CODEC_CONFIG } from '../../../src/codec/mel/config.js';
import { MelCodec } from '../../../src/codec/mel/mel-codec.js';
import { writeCorpus } from '../../fast/codec/corpus-files.js';
import { randomCodecFiles, randomLatents } from '../../fast/codec/random-codec.js';
import { lcg, TINY } from '../../fast/codec/tiny.js';

const FULL = DEFAULT_MEL_CODEC_CONFIG;
const D = FULL.latentDim;

async function decodeInChunks(codec: MelCodec, latents: Float32Array, chunk: number): Promise<Buffer> {
  const decoder = codec.createDecoder();
  const parts: Buffer[] = [];
  const keep = (samples: Float32Array) =>
    parts.push(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength));
  for (let at = 0; at < latents.length; at += chunk * D)
    keep(await decoder.decode(latents.subarray(at, at + chunk * D)));
  keep(await decoder.flush());
  decoder.free();
  return Buffer.concat(parts);
}

describe('the mel decoder at its full size', () => {
  it.each(['f32', 'f16', 'bf16', 'q8_0'] as const)(
    'gives the same samples however latents are cut, in %s',
    async (weightType) => {
      for (const threads of [1, 2]) {
        const codec = new MelCodec(randomCodecFiles(FULL), { weightType, threads });
        const latents = randomLatents(FULL, 80);
        const whole = await decodeInChunks(codec, latents, 80);
        expect(whole.length).toBe(80 * codec.hopLength * 4);
        for (const chunk of [1, 2, 7, 24, 26]) {
          expect((await decodeInChunks(codec, latents, chunk)).equals(whole), `chunks of ${chunk}`).toBe(true);
        }
        codec.free();
      }
    },
  );

  it('keeps its memory over hundreds of streams, several at once', async () => {
    const codec = new MelCodec(randomCodecFiles(FULL));
    const latents = randomLatents(FULL, 6);
    const expected = await decodeInChunks(codec, latents, 5);
    const together = async () => {
      const streams = await Promise.all([1, 2, 3, 5].map((chunk) => decodeInChunks(codec, latents, chunk)));
      for (const stream of streams) expect(stream.equals(expected)).toBe(true);
    };
    await together(); // leaves a graph for each length of a chunk
    const before = liveObjects();
    for (let round = 0; round < 60; round++) await together();
    expect(liveObjects()).toEqual(before);
    codec.free();
  });
});

describe('codec training that is killed', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'mel-kill-'));
    writeCorpus(directory, 8);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const script = join(import.meta.dirname, 'train-child.mjs');
  const recipe = {
    steps: 40,
    batchSize: 2,
    cropFrames: 10,
  };
  const start = (out: string, resume: boolean) =>
    spawn(process.execPath, [script, directory, out, JSON.stringify(TINY), JSON.stringify(recipe), String(resume)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const ended = (child: ReturnType<typeof start>) =>
    new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));

  it('ends with the weights of a run that was not, at whatever moment it dies', async () => {
    const [whole, cut] = ['whole', 'cut'].map((name) => join(directory, name));
    expect(await ended(start(whole, false))).toBe(0);
    const random = lcg(3);
    let kills = 0;
    while (kills < 12) {
      const child = start(cut, existsSync(join(cut, 'checkpoint.safetensors')));
      const exit = ended(child);
      // A little later each time, so that the run moves on on any machine.
      const outcome = await Promise.race([exit, wait(700 + 150 * kills + 300 * (1 + random()), 'running' as const)]);
      if (outcome !== 'running') break;
      child.kill('SIGKILL');
      await exit;
      kills++;
    }
    expect(await ended(start(cut, existsSync(join(cut, 'checkpoint.safetensors'))))).toBe(0);
    expect(kills).toBeGreaterThan(0);
    for (const file of ['model.safetensors', 'checkpoint.safetensors']) {
      expect(readFileSync(join(cut, file)).equals(readFileSync(join(whole, file))), file).toBe(true);
    }
  });
});
