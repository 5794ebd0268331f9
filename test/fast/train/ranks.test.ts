import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { firstHost, groupFromEnvironment } from '../../../src/cli/rank-environment.js';
import { splitBatch } from '../../../src/data/batches.js';
import { readSafetensors, toFloat32 } from '../../../src/model/safetensors.js';
import type { TrainingConfig } from '../../../src/train/training-config.js';
import { startTraining, stepFolders, writeTinyRun } from './tiny-run.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ranks-'));
  writeConfig();
});

/** A run of twenty steps, unless told otherwise. */
function writeConfig(training: Partial<TrainingConfig> = {}): void {
  // Without dropout, whose masks depend on how a step is cut, and without Muon, whose bfloat16 iterations make steps out
  // of rounding; the noises and guidance dropout are on.
  writeTinyRun(folder, { steps: 20, matrixLearningRate: 0, learningRate: 5e-4, ...training }, { dropout: 0 });
}
afterAll(() => rmSync(folder, { recursive: true }));

const out = (name: string) => join(folder, name);

function weightsOf(run: string): Map<string, Float32Array> {
  const last = stepFolders(out(run)).at(-1) ?? 'no checkpoint';
  const { tensors } = readSafetensors(join(out(run), last, 'weights.safetensors'));
  return new Map([...tensors].map(([name, array]) => [name, toFloat32(array)]));
}

function largestDifference(a: string, b: string): number {
  const other = weightsOf(b);
  const differences = [...weightsOf(a)].map(([name, values]) => {
    const others = other.get(name) ?? new Float32Array();
    return values.reduce((worst, value, i) => Math.max(worst, Math.abs(value - others[i])), 0);
  });
  return Math.max(...differences);
}

test('two ranks with half of each batch reach the weights of one rank after 20 steps', async () => {
  const one = startTraining(folder, ['--out', out('one'), '--threads', '1', '--quiet']);
  expect(await one.ended).toMatchObject({ code: 0, errors: '' });
  const two = startTraining(folder, ['--out', out('two'), '--processes', '2', '--quiet']);
  expect(await two.ended).toMatchObject({ code: 0, errors: '' });
  expect(stepFolders(out('two'))).toEqual(['step-00000020']);
  // float32 sums in another order, of which Adam makes more where a gradient is nearly zero; the weights moved by 1e-2.
  expect(largestDifference('one', 'two')).toBeLessThan(1e-5);
  expect(largestDifference('one', 'two')).toBeGreaterThan(0);
});

test('from a trained network on they reach them within 1e-6', async () => {
  writeConfig({ steps: 60, learningRate: 5e-3 });
  expect(await startTraining(folder, ['--out', out('warm'), '--threads', '1', '--quiet']).ended).toMatchObject({
    code: 0,
  });
  writeConfig();
  for (const [name, flags] of [
    ['warm-one', ['--threads', '1']],
    ['warm-two', ['--processes', '2']],
  ] as const)
    // prettier-ignore
    expect(
      await startTraining(folder, ['--from', out('warm'), '--out', out(name), '--quiet', ...flags]).ended,
    ).toMatchObject({ code: 0, errors: '' });
  // A head that begins at zero has gradients of nearly nothing, by whose rounding Adam divides; a trained one has not.
  expect(largestDifference('warm-one', 'warm-two')).toBeLessThan(1e-6);
  expect(largestDifference('warm-one', 'warm-two')).toBeGreaterThan(0);
  expect(largestDifference('warm', 'warm-one')).toBeGreaterThan(1e-3);
}, 60_000);

test('the others stop with one clear line when a rank is killed', async () => {
  const run = startTraining(folder, [
    '--out',
    out('killed'),
    '--processes',
    '2',
    '--log-every',
    '1',
    '--steps',
    '100000',
  ]);
  let lines = 0;
  run.child.stderr?.on('data', () => lines++);
  while (lines < 3 && run.child.exitCode === null) await sleep(20);
  const ranks = execFileSync('pgrep', ['-P', String(run.child.pid)], { encoding: 'utf8' }).trim().split('\n').map(Number); // prettier-ignore
  expect(ranks).toHaveLength(2);
  process.kill(ranks[1], 'SIGKILL');
  const { code, errors } = await run.ended;
  expect(code).toBe(1);
  const failures = errors.split('\n').filter((line) => line.startsWith('sled-tts:'));
  expect(failures).toEqual([
    expect.stringMatching(/^sled-tts: rank 1 of 2 was killed by SIGKILL; run the same command/),
  ]);
  for (const pid of ranks) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
});

test('a rank that cannot find the others says so within its time', async () => {
  const env = { RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: '29876' };
  const { code, errors } = await startTraining(folder, ['--out', out('alone'), '--timeout', '1'], { env }).ended;
  expect(code).toBe(1);
  expect(errors).toMatch(/^sled-tts: rank 1 of 2: joining failed: .*\n$/);
});

test('a dry run tells the size and the time, and writes nothing', async () => {
  const { code, errors } = await startTraining(folder, ['--out', out('dry'), '--dry-run', '--threads', '1']).ended;
  expect(code).toBe(0);
  expect(errors).toMatch(/data {7}40 utterances, .* steps an epoch/);
  expect(errors).toMatch(/estimate {3}[\d.]+ hours for 20 steps/);
  expect(() => readFileSync(out('dry'))).toThrow(/ENOENT/);
});

test('cuts a batch into parts of about equal frames, each utterance once', () => {
  const frames = [10, 11, 12, 13, 20, 22];
  expect(splitBatch([0, 1, 2, 3, 4, 5], frames, 2)).toEqual([[0, 1, 2, 3], [4, 5]]); // prettier-ignore
  expect(splitBatch([4], frames, 3).flat()).toEqual([0]);
});

test.each([
  ['torchrun', { RANK: '1', WORLD_SIZE: '4', MASTER_ADDR: 'a', MASTER_PORT: '1234' }, { rank: 1, size: 4, address: 'a', port: 1234 }],
  ['torchrun, the third time', { RANK: '0', WORLD_SIZE: '2', MASTER_ADDR: 'a', MASTER_PORT: '1', TORCHELASTIC_RESTART_COUNT: '2' }, { rank: 0, size: 2, address: 'a', port: 1, attempt: 2 }],
  ['Slurm', { SLURM_PROCID: '3', SLURM_NTASKS: '8', SLURM_JOB_NODELIST: 'gpu[07-09,12]', SLURM_JOB_ID: '5002' }, { rank: 3, size: 8, address: 'gpu07', port: 29_502 }],
  ['Open MPI', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_LOCAL_SIZE: '2' }, { rank: 0, size: 2, address: '127.0.0.1', port: 29_500 }],
  ['MPI', { PMI_RANK: '1', PMI_SIZE: '2', MASTER_ADDR: '10.0.0.1' }, { rank: 1, size: 2, address: '10.0.0.1', port: 29_500 }],
])('knows its rank from the variables of %s', (_, env, expected) => {
  expect(groupFromEnvironment(env, 1000)).toEqual({ ...expected, timeoutMs: 1000 });
}); // prettier-ignore

test('says which variable is missing or wrong', () => {
  expect(groupFromEnvironment({}, 1)).toBeUndefined();
  expect(() => groupFromEnvironment({ RANK: '0' }, 1)).toThrow(/RANK is set and WORLD_SIZE is not/);
  expect(() => groupFromEnvironment({ RANK: '2', WORLD_SIZE: '2' }, 1)).toThrow(
    /RANK=2: expected less than WORLD_SIZE=2/,
  );
  expect(() => groupFromEnvironment({ RANK: 'x', WORLD_SIZE: '2' }, 1)).toThrow(/RANK: expected a whole number/);
  expect(() => groupFromEnvironment({ RANK: '1', WORLD_SIZE: '2' }, 1)).toThrow(/MASTER_ADDR is not set/);
  expect(firstHost('a1,b2')).toBe('a1');
});
