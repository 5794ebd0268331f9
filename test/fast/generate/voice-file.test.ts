import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import { writeMelCodecFiles } from '../../../src/codec/mel/files.js';
import { convertVoice } from '../../../src/generate/convert-voice.js';
import { WEIGHT_TYPES } from '../../../src/generate/weights.js';
import { CheckpointError, SledTts } from '../../../src/index.js';
import { writeConfig, type SledConfig } from '../../../src/model/config.js';
import { writeSafetensors } from '../../../src/model/safetensors.js';
import { PHONEME_VOCAB_SIZE } from '../../../src/text/index.js';
import { runFake } from '../cli/fake-world.js';
import { randomCodecFiles } from '../codec/random-codec.js';
import { goldenConfig as encodecConfig, goldenFiles, goldenTensors } from '../codec/encodec/golden-codec.js';
import { TINY } from '../codec/tiny.js';
import { goldenConfig, hashedCheckpoint } from './golden-cases.js';

const root = mkdtempSync(join(tmpdir(), 'sled-voice-file-'));
const model = join(root, 'model');
const config: SledConfig = { ...goldenConfig('even-stream'), latentDim: TINY.latentDim };
const voice = (name: string) => join(root, `${name}.gguf`);

function writeModel(directory: string, settings: SledConfig): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config.json'), JSON.stringify(writeConfig(settings)));
  writeSafetensors(join(directory, 'model.safetensors'), hashedCheckpoint(settings, new Float32Array(settings.width)));
  writeMelCodecFiles(join(directory, 'codec'), randomCodecFiles(TINY));
}

const speak = async (path: string, options = {}) => {
  const tts = await SledTts.load({ model: path, threads: 1, ...options });
  const { samples } = await tts.generate('One two.', { seed: 3, maxFrames: 8 });
  await tts.free();
  return samples;
};

beforeAll(() => writeModel(model, { ...config, vocabSize: PHONEME_VOCAB_SIZE, text: 'phonemes-en' }));
afterAll(() => rmSync(root, { recursive: true }));

test.each(WEIGHT_TYPES)(
  'one file with %s weights speaks the samples of the directory that it was made of',
  async (weights) => {
    await convertVoice(model, voice(weights), { weights });
    const before = liveObjects();
    expect(await speak(voice(weights))).toEqual(await speak(model, { weights }));
    expect(liveObjects()).toEqual(before);
  },
);

test('EnCodec travels in the file', async () => {
  const directory = join(root, 'encodec');
  const { latentDim } = goldenFiles('tiny').config;
  writeModel(directory, { ...config, latentDim, vocabSize: PHONEME_VOCAB_SIZE, text: 'phonemes-en' });
  rmSync(join(directory, 'codec'), { recursive: true });
  mkdirSync(join(directory, 'codec'));
  writeFileSync(join(directory, 'codec/config.json'), JSON.stringify(encodecConfig('tiny')));
  writeSafetensors(join(directory, 'codec/model.safetensors'), goldenTensors('tiny'));
  await convertVoice(directory, voice('encodec'), { weights: 'f32' });
  const expected = await speak(directory, { weights: 'f32' });
  rmSync(directory, { recursive: true });
  expect(await speak(voice('encodec'))).toEqual(expected);
});

test('a byte-level tokenizer travels in the file', async () => {
  const directory = join(root, 'bpe');
  const files = new URL('../../golden/bpe/', import.meta.url);
  const { length: vocabSize } = Object.keys(JSON.parse(readFileSync(new URL('vocab.json', files), 'utf8')));
  writeModel(directory, { ...config, vocabSize, text: 'bpe' });
  for (const name of ['vocab.json', 'merges.txt']) copyFileSync(new URL(name, files), join(directory, name));
  await convertVoice(directory, voice('bpe'), { weights: 'f32' });
  const expected = await speak(directory, { weights: 'f32' });
  rmSync(directory, { recursive: true });
  expect(await speak(voice('bpe'))).toEqual(expected);
});

test('`convert` writes what --model takes, and names a wrong type', async () => {
  const done = await runFake(['convert', '--model', model, '--out', voice('cli'), '--weights', 'q8_0']);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout.toString()).toMatch(/^\d+\.\d MB: .*cli\.gguf\n$/);
  expect(readFileSync(voice('cli'))).toEqual(readFileSync(voice('q8_0')));
  const wrong = await runFake(['convert', '--model', model, '--out', voice('wrong'), '--weights', 'q3']);
  expect(wrong).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^sled-tts: weights: expected one of .*got q3\n$/),
  });
  const name = await runFake(['convert', '--model', model, '--out', join(root, 'wrong')]);
  expect(name.stderr).toMatch(/expected a file name that ends in \.gguf/);
  expect(readdirSync(root).filter((file) => file.startsWith('wrong'))).toEqual([]);
});

describe('a voice file that cannot be used is one clear line', () => {
  const broken = (name: string, change: (bytes: Buffer) => Buffer) => {
    writeFileSync(voice(name), change(readFileSync(voice('f32'))));
    return speak(voice(name));
  };
  const replaced = (from: string, to: string) => (bytes: Buffer) => {
    const at = bytes.indexOf(from);
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(to), bytes.subarray(at + from.length)]);
  };

  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['empty', () => Buffer.alloc(0), /empty\.gguf: .*file ends/],
    ['text', () => Buffer.from('{"config": 1}'), /text\.gguf: GGUF: the first four bytes are not GGUF/],
    ['half', (bytes) => bytes.subarray(0, bytes.length >> 1), /half\.gguf: GGUF: the data of ".*" passes the file's end/],
    ['no-network', replaced('layers.1.attentionNorm', 'layers.7.attentionNorm'), /missing layers\.1\.attentionNorm.*unknown layers\.7/],
    ['no-codec', replaced('codec.decoder.input.bias', 'codec.decoder.inpux.bias'), /decoder\.input\.bias is missing.*decoder\.inpux/],
    ['other', replaced('sled.config', 'sled.konfig'), /expected a voice that `sled-tts convert` wrote, with the text sled\.config/],
    ['other-size', replaced('"hidden_size":64', '"hidden_size":32'), /does not fit its config: .*expected \[32/],
  ])('%s', async (name, change, message) => {
    const before = liveObjects();
    const loading = broken(name, change);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toBeInstanceOf(CheckpointError);
    expect(liveObjects()).toEqual(before);
  }); // prettier-ignore

  test('--weights cannot change what is in the file', async () => {
    await expect(speak(voice('f32'), { weights: 'q8_0' })).rejects.toThrow(/holds its own; `sled-tts convert`/);
  });

  test('a file cut at any of fifty places never ends the process', async () => {
    const whole = readFileSync(voice('q8_0'));
    for (let i = 0; i < 50; i++) {
      writeFileSync(voice('cut'), whole);
      truncateSync(voice('cut'), Math.floor((whole.length * i) / 50));
      await expect(SledTts.load({ model: voice('cut'), threads: 1 })).rejects.toBeInstanceOf(CheckpointError);
    }
  });
});
