import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manualSeed } from '@sled-tts/torch';
import { parameterTable } from '../../../src/model/checkpoint.js';
import { writeConfig, type SledConfig } from '../../../src/model/config.js';
import { readSafetensors, toFloat32, writeSafetensors } from '../../../src/model/safetensors.js';
import { blendModels } from '../../../src/train/blend.js';
import { keptShare } from '../../../src/train/own-voice.js';
import { exportParameters, initialParameters } from '../../../src/train/parameters.js';
import { TINY_MODEL } from './tiny.js';

const folder = mkdtempSync(join(tmpdir(), 'sled-blend-'));
const at = (name: string) => join(folder, name);

function writeModel(name: string, config: SledConfig, seed: number): void {
  manualSeed(seed);
  mkdirSync(at(name));
  writeFileSync(join(at(name), 'config.json'), JSON.stringify(writeConfig(config)));
  writeSafetensors(join(at(name), 'model.safetensors'), exportParameters(config, initialParameters(config, 'xavier')));
}

const weightsOf = (name: string) => {
  const { tensors } = readSafetensors(join(at(name), 'model.safetensors'));
  return new Map([...tensors].map(([released, array]) => [released, toFloat32(array)]));
};

beforeAll(() => {
  writeModel('base', TINY_MODEL, 1);
  writeModel('tuned', { ...TINY_MODEL, dropout: 0.3 }, 2);
  writeModel('wider', { ...TINY_MODEL, ffnWidth: 32 }, 3);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('weights lie between two models, each parameter at its share of the way', () => {
  const shareOf = (name: string) => (name.startsWith('layers.1') ? 0.25 : 1);
  blendModels(at('blended'), { base: at('base'), tuned: at('tuned'), shareOf });
  const [base, tuned, blended] = ['base', 'tuned', 'blended'].map(weightsOf);
  for (const { name, released } of parameterTable(TINY_MODEL)) {
    const [from, to, got] = [base, tuned, blended].map((weights) => weights.get(released)!);
    if (shareOf(name) === 1) expect(got, name).toEqual(to);
    else got.forEach((x, i) => expect(x, name).toBeCloseTo(0.75 * from[i] + 0.25 * to[i], 6));
  }
  const read = (name: string) => readFileSync(join(at(name), 'config.json'), 'utf8');
  expect(read('blended')).toBe(read('tuned'));
});

test('models of two shapes are refused', () => {
  const blend = { base: at('base'), tuned: at('wider'), shareOf: () => 0.5 };
  expect(() => blendModels(at('none'), blend)).toThrow(
    /layers\.0\.feedForward\.gate\.weight is \[32,16\], but \[24,16\]/,
  );
});

test("a voice of one's own keeps more of what hears and draws frames than of what reads", () => {
  const shares = parameterTable(TINY_MODEL).map(({ name }) => [name.split('.')[0], keptShare(name)] as const);
  expect(Object.fromEntries(shares)).toEqual({
    ...{ latentProjection: 0.9, inputNorm: 0.9, energyHead: 0.9, endHead: 0.9 },
    ...{ textEmbedding: 0.7, layers: 0.7, outputNorm: 0.7 },
  });
});
