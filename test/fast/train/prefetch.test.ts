import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeSafetensors } from '../../../src/model/safetensors.js';
import { writeShard } from '../../../src/data/shards.js';
import { startTraining, stepFolders, writeTinyRun } from './tiny-run.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prefetch-'));
  writeTinyRun(folder, { steps: 24, microBatches: 2 }); // more than two epochs
});
afterAll(() => rmSync(folder, { recursive: true }));

const out = (name: string) => join(folder, name);
const lastFiles = (run: string) =>
  ['model', 'weights', 'optimizer'].map((file) =>
    readFileSync(join(out(run), stepFolders(out(run)).at(-1) ?? '', `${file}.safetensors`)).toString('base64'),
  );
const lastLoop = (run: string) => {
  const state = JSON.parse(readFileSync(join(out(run), stepFolders(out(run)).at(-1) ?? '', 'state.json'), 'utf8')) as Record<string, number>; // prettier-ignore
  return [state.step, state.epoch, state.batch, state.frames];
};

test('trains to the same bits with 4 steps read ahead, stopped and gone on with, as with none; leaves no thread', async () => {
  const flags = ['--out', out('none'), '--prefetch', '0', '--threads', '1', '--log-every', '8'];
  const { code, errors } = await startTraining(folder, flags).ended;
  expect(code).toBe(0);
  expect(errors).toMatch(/^step {7}8 .* frames\/s {2}waiting \d+\.\d % /);

  const child = join(import.meta.dirname, 'prefetch-child.mjs');
  const printed = execFileSync(process.execPath, [child, folder, out('ahead')], { encoding: 'utf8' });
  const { stopped, before, after } = JSON.parse(printed) as Record<string, unknown>;
  expect(stopped).toBe(5);
  expect(after).toEqual(before);
  expect(stepFolders(out('ahead'))).toEqual(['step-00000005', 'step-00000024']);
  expect(lastLoop('ahead')).toEqual(lastLoop('none'));
  expect(lastFiles('ahead')).toEqual(lastFiles('none'));
});

test.each(['0', '4'])('a damaged utterance ends the run with one line, %s steps read ahead', async (prefetch) => {
  const damaged = join(folder, `damaged-${prefetch}`);
  mkdirSync(damaged);
  writeTinyRun(damaged, { steps: 24 });
  const rows = Array.from({ length: 40 }, (_, i) => {
    // The short ones are never in the largest batch, which is tried first.
    const frames = i < 20 ? 4 : 12;
    const codes = new Uint16Array(frames).fill(i === 7 ? 99 : i % 8);
    return { id: String(i), text: 'x', tokens: [0, 3, 4, 2], codes, ends: null };
  });
  const info = { latentDim: 4, hopLength: 10, sampleRate: 10, frontEnd: 'tiny', codebooks: 1 };
  writeShard(join(damaged, 'data-0.arrow'), rows, info);
  const codebooks = { shape: [1, 8, 4], dtype: 'F32' as const, bytes: new Uint8Array(4 * 32) };
  writeSafetensors(join(damaged, 'codebooks.safetensors'), new Map([['codebooks', codebooks]]));
  const run = startTraining(damaged, ['--out', join(damaged, 'run'), '--prefetch', prefetch, '--save-every', '1', '--quiet']); // prettier-ignore
  const { code, errors } = await run.ended;
  expect(errors).toMatch(/^sled-tts: .*data-0\.arrow: not a whole shard \(expected codes below 8, got 99\); prepare it again\n$/); // prettier-ignore
  expect(code).toBe(1);
  expect(stepFolders(join(damaged, 'run')).length, 'steps before it').toBeGreaterThan(0);
});
