import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import { openShards } from '../../../src/data/shards.js';
import { readSafetensors, toFloat32, writeSafetensors } from '../../../src/model/safetensors.js';
import { goldenConfig, goldenTensors } from '../../fast/codec/encodec/golden-codec.js';
import { encodeFlac } from '../../fast/data/make-flac.js';
import { codeBlocks } from '../../fast/package/readme.js';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(repository, 'docs/training.md'), 'utf8');
const commands = codeBlocks('sh', page).flatMap((block) => block.trim().split('\n'));

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sled-recipe-'));
  tinyRecordings();
  tinyCodec();
  tinyConfigs();
  symlinkSync(join(repository, 'voices'), at('voices'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SENTENCES = ['The ferry leaves at seven.', 'It rained all night.', 'Nobody saw him go.', 'Come in, come in!'];

/** A sound of a few harmonics that swells and falls. */
function sound(seconds: number, rate: number, pitch: number): Float32Array {
  return Float32Array.from({ length: Math.round(seconds * rate) }, (_, i) => {
    const phase = (2 * Math.PI * pitch * i) / rate;
    return 0.2 * (Math.sin(phase) + Math.sin(2 * phase) / 2) * Math.sin((i / rate) * 6) ** 2;
  });
}

/** Two folders with transcripts, and LibriHeavy's manifests of one long FLAC recording. */
function tinyRecordings(): void {
  for (const name of ['recordings', 'my-recordings']) {
    mkdirSync(at(name));
    for (let i = 0; i < 12; i++) {
      writeFileSync(at(name, `${i}.wav`), encodeWav(sound(1 + (i % 3) / 4, 24_000, 110 + 9 * i), 24_000));
      writeFileSync(at(name, `${i}.txt`), `${SENTENCES[i % 4]} ${i}`);
    }
  }
  mkdirSync(at('librilight/small'), { recursive: true });
  const pcm = Int16Array.from(sound(40, 16_000, 140), (x) => Math.round(x * 32767));
  writeFileSync(at('librilight/small/book.flac'), encodeFlac(pcm, 16_000));
  const lines = Array.from({ length: 30 }, (_, i) => libriHeavyLine(i));
  const missing = libriHeavyLine(30).replace('book.flac', 'not-downloaded.flac');
  writeFileSync(at('libriheavy_cuts_small.jsonl.gz'), gzipSync(lines.join('\n')));
  writeFileSync(at('libriheavy_cuts_dev.jsonl.gz'), gzipSync([...lines.slice(0, 6), missing].join('\n')));
}

function libriHeavyLine(i: number): string {
  const text = SENTENCES[i % 4];
  return JSON.stringify({
    id: `small/book_${i}`,
    start: i * 1.25,
    duration: 1 + (i % 4) / 8,
    channel: 0,
    supervisions: [{ id: `small/book_${i}`, custom: { texts: [text, text.toUpperCase()], begin_byte: 0 } }],
    recording: { id: 'book', sources: [{ type: 'file', channels: [0], source: 'small/book.flac' }], sampling_rate: 16_000 },
    type: 'MonoCut',
  }); // prettier-ignore
}

/** EnCodec with the released configuration's shape in small. */
function tinyCodec(): void {
  mkdirSync(at('encodec'));
  writeFileSync(at('encodec/config.json'), JSON.stringify(goldenConfig('tiny')));
  writeSafetensors(at('encodec/model.safetensors'), goldenTensors('tiny'));
}

/** The published configs with small sizes; turns, schedule's shape and every other key as published. */
function tinyConfigs(): void {
  cpSync(join(repository, 'configs'), at('configs'), { recursive: true });
  const small = { vocab_size: 600, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 48, vae_embed_dim: 12, diffloss_w: 24, diffloss_d: 2, noise_channels: 16 }; // prettier-ignore
  for (const name of ['libriheavy', 'libriheavy-stream']) {
    const { model, training } = JSON.parse(readFileSync(at(`configs/${name}.json`), 'utf8'));
    const short = { steps: 6, warmupSteps: 1, decaySteps: 5, maxSecondsPerBatch: 8, microBatches: 2, precision: 'f32' };
    writeFileSync(at(`configs/${name}.json`), JSON.stringify({ model: { ...model, ...small }, training: { ...training, ...short } })); // prettier-ignore
  }
}

/** A command of the page for this folder; without guidance on how long, a voice of one's own trains for three steps. */
const forHere = (command: string) =>
  command
    .replace('npx sled-tts', `node ${join(repository, 'dist/cli/main.js')}`)
    .replace('train --from voices', 'train --steps 3 --threads 1 --log-every 1 --from voices')
    .replace(/(say|stream) --model/, '$1 --max-frames 30 --model');
const shell = (command: string) =>
  execFileSync('bash', ['-c', `${command} 2>&1`], { cwd: folder, encoding: 'utf8', env: { ...process.env, OMP_NUM_THREADS: '1' } }); // prettier-ignore

/** Whole frames, no more than were allowed; an untrained model may end sooner. */
function expectSpeech(name: string, hopLength: number): void {
  const { samples } = decodeWav(readFileSync(at(name)));
  expect(samples.length % hopLength).toBe(0);
  expect(samples.length).toBeGreaterThan(0);
  expect(samples.length).toBeLessThanOrEqual(30 * hopLength);
  expect(samples.every(Number.isFinite)).toBe(true);
  expect(samples.some((x) => x !== 0)).toBe(true);
}

describe('docs/training.md', () => {
  it.each(commands)('runs: %s', (command) => {
    const output = shell(forHere(command));
    if (!command.includes('--from voices')) return;
    expect(output).toMatch(/11 utterances, .* 3 steps and 3 of the codec, less than a minute/);
    expect(output).toMatch(/^step +3 .* alignment \d/m);
  });

  it('prepared what the manifests hold, from hour-long recordings or not', () => {
    const [shards, heldOut] = ['shards', 'held-out'].map((name) => openShards(at(name)));
    expect([shards.length, heldOut.length]).toEqual([30, 6]);
    expect(shards.info).toMatchObject({ codebooks: 16, latentDim: 12, frontEnd: 'bpe' });
    const { tokens, text } = shards.sample(0);
    expect(text).toBe(SENTENCES[0]);
    expect([tokens[0], tokens.at(-1)]).toEqual([0, 2]);
    const ofTwo = readdirSync(at('shards-of-two')).filter((name) => name.endsWith('.arrow'));
    for (const name of ofTwo) expect(readFileSync(at('shards-of-two', name))).toEqual(readFileSync(at('shards', name)));
  });

  it('left models that stream and speak', () => {
    const config = JSON.parse(readFileSync(at('stream-run/voice/config.json'), 'utf8'));
    expect([config.stream_n, config.stream_m]).toEqual([5, 45]);
    expect(existsSync(at('run/voice/vocab.json'))).toBe(true);
    expect(readFileSync(at('my-recordings-voice/README.md'), 'utf8')).toMatch(/11 utterances/);
  });

  it.each(['stream-run/voice', 'run/voice'])('%s speaks finite sound of whole frames', (model) => {
    shell(forHere(`echo "It speaks while you write." | npx sled-tts stream --model ${model} --out here.wav --quiet`));
    const { hopLength } = openShards(at('shards')).info;
    expectSpeech('here.wav', hopLength);
  });

  it("guided the attention of the voice of one's own by when each phoneme of the recordings sounds", () => {
    const shards = openShards(at('my-recordings-voice/work/latents/train'));
    const { tokens, frames, spoken } = shards.sample(0);
    expect(spoken?.length).toBe(2 * frames);
    expect(spoken?.at(-1)).toBe(tokens.length - 1); // the last token but </s>
    const { training } = JSON.parse(readFileSync(at('my-recordings-voice/work/run/best/state.json'), 'utf8'));
    expect(training).toMatchObject({ alignmentWeight: 0.5, guidedHeads: [[2, 0], [4, 0]] }); // prettier-ignore
  });

  it("took the voice of one's own part of the way back to the one that it began with", () => {
    const [base, tuned, voice] = ['voices/wren', 'my-recordings-voice/work/run/best', 'my-recordings-voice'].map(
      (model) => readSafetensors(at(model, 'model.safetensors')).tensors,
    );
    for (const [name, share] of [
      ['model.layers.3.mlp.up_proj.weight', 0.7],
      ['z_proj.weight', 0.9],
    ] as const) {
      const [from, to, got] = [base, tuned, voice].map((weights) => toFloat32(weights.get(name)!));
      got.forEach((x, i) => expect(x, name).toBeCloseTo(from[i] + share * (to[i] - from[i]), 6));
      expect(got, name).not.toEqual(to);
    }
  });

  it("the voice of one's own speaks through its own codec", () => {
    expectSpeech('hello.wav', 960);
  });

  it('goes on with a voice when its command is given again, with two processes', () => {
    const again = shell(forHere('npx sled-tts train --from voices/wren my-recordings --processes 2'));
    expect(again.match(/3 steps of 3.*/g)).toEqual(['3 steps of 3: my-recordings-voice']);
  });

  it('trains a voice with two processes, and goes on with one', () => {
    const train = 'npx sled-tts train --from run/voice my-recordings --out both';
    const together = shell(forHere(`${train} --steps 3 --processes 2`)); // from a voice without guided heads
    expect(together).toMatch(/11 utterances, .* 3 steps, less than a minute/);
    expect(together.match(/3 steps of 3.*/g)).toEqual(['3 steps of 3: both']);
    expect(shell(forHere(`${train} --steps 4`))).toMatch(/^4 steps of 4: both/m);
    expect(readFileSync(at('both/README.md'), 'utf8')).toMatch(/11 utterances/);
    expect(readdirSync(at('both/work/run'))).toEqual(expect.arrayContaining(['step-00000003', 'step-00000004']));
    shell(forHere('npx sled-tts say --model both "Come in." --out both.wav --no-play'));
    expectSpeech('both.wav', openShards(at('shards')).info.hopLength);
  });

  it.each([
    ['train my-recordings --from voices/wren --dry-run', /--dry-run is for a config/],
    ['train my-recordings', /--from and a voice/],
    ['train nothing --from voices/wren', /nothing: no such folder or manifest/],
    ['train configs/libriheavy.json --data shards', /needs --data and --out/],
    ['train configs/libriheavy.json --data nothing --out other', /nothing: no \.arrow shards/],
    ['train configs/libriheavy.json --from voices/wren --data shards --out other', /config differs .*width/],
    ['prepare recordings.jsonl --codec encodec --text bpe --out other', /--vocabulary/],
    ['prepare recordings.jsonl --codec encodec --rank 2 --ranks 2 --out other', /--rank/],
  ])('refuses with one line: %s', (args, message) => {
    const output = shell(`node ${join(repository, 'dist/cli/main.js')} ${args} 2>&1; test $? = 1`);
    expect(output).toMatch(message);
    expect(output).toMatch(/^sled-tts: [^\n]+\n$/);
  });
});
