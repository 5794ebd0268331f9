import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { EncodecCodec } from '../../../src/codec/encodec/encodec-codec.js';
import { Voice } from '../../../src/index.js';
import { writeConfig } from '../../../src/model/config.js';
import { writeSafetensors } from '../../../src/model/safetensors.js';
import { goldenConfig, goldenFiles, goldenSignal, goldenTensors } from '../codec/encodec/golden-codec.js';
import { largestDifference } from '../generate/golden-cases.js';
import { bpeFolder, cloneCases, cloneCheckpoint, cloneConfig, goldenFloats } from '../generate/golden-clone.js';

const program = new URL('../../../dist/cli/main.js', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'sled-latents-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A model and a codec in folders of their own, as they are released, and the prompt as a voice file. */
async function writeCase(name: string): Promise<void> {
  for (const part of ['model', 'codec']) mkdirSync(join(folder, part));
  writeFileSync(join(folder, 'model/config.json'), JSON.stringify(writeConfig(cloneConfig(name))));
  writeSafetensors(join(folder, 'model/model.safetensors'), cloneCheckpoint(name));
  for (const file of ['vocab.json', 'merges.txt']) copyFileSync(join(bpeFolder, file), join(folder, 'model', file));
  writeFileSync(join(folder, 'codec/config.json'), JSON.stringify(goldenConfig('tiny')));
  writeSafetensors(join(folder, 'codec/model.safetensors'), goldenTensors('tiny'));
  const codec = new EncodecCodec(goldenFiles('tiny'));
  const [{ prompts, lengths }] = cloneCases[name].batches;
  new Voice({ text: prompts![0], latents: await codec.encode(goldenSignal(lengths[0])) }, codec).save(join(folder, 'prompt.voice')); // prettier-ignore
  codec.free();
}

test('the released code’s latents come out of the command line with --weights f32 --latents', async () => {
  await writeCase('clone');
  const { seed, guidance, batches } = cloneCases.clone;
  const flags = `--model model --codec codec --voice prompt.voice --weights f32 --seed ${seed} --guidance ${guidance}`;
  const args = ['say', batches[0].texts[0], ...flags.split(' '), '--max-frames', '150', '--latents', 'a.npy', '--out', 'a.wav'];
  execFileSync(process.execPath, [program, ...args], { cwd: folder });
  const bytes = readFileSync(join(folder, 'a.npy'));
  const begin = 10 + bytes.readUInt16LE(8);
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + bytes.length));
  // A float16 cache of keys and values alone is 0.03 away.
  expect(largestDifference(values, goldenFloats('clone.0.0.latents'))).toBeLessThan(1e-3);
}); // prettier-ignore
