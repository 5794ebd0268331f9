import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../../src/data/random.js';
import { startTraining, stepFolders, writeTinyRun } from '../../fast/train/tiny-run.js';

const KILLS = 50;
const STEPS = 800; // more than are done between the kills

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kill-'));
  writeTinyRun(folder, { steps: STEPS, microBatches: 4 }); // most of a step is spent between its parts
});
afterAll(() => rmSync(folder, { recursive: true }));

const start = (out: string, saveEvery: number) =>
  startTraining(folder, ['--out', out, '--save-every', String(saveEvery), '--threads', '1', '--quiet']);

const isWriting = (out: string) => readdirSync(out).some((name) => name.endsWith('.part'));

test(`goes on to the same bits after ${KILLS} kills at random times, inside accumulated steps and checkpoint writes`, async () => {
  const whole = start(join(folder, 'whole'), 200);
  expect(await whole.ended).toMatchObject({ code: 0 });

  const out = join(folder, 'killed');
  const random = new Random(5);
  let inWrite = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { child, ended } = start(out, 1);
    const before = stepFolders(out).at(-1);
    while (stepFolders(out).at(-1) === before && child.exitCode === null) await sleep(5); // it got somewhere: every step is saved
    if (kill % 2 === 0) await sleep(random.uniform() * 60);
    else while (!isWriting(out) && child.exitCode === null) await nextTick();
    child.kill('SIGKILL');
    await ended;
    if (isWriting(out)) inWrite++;
    expect(Number(stepFolders(out).at(-1)?.slice(5)), `steps after kill ${kill}`).toBeLessThan(STEPS);
  }
  expect(inWrite, 'kills inside a checkpoint write').toBeGreaterThan(0);
  expect(await start(out, 200).ended).toMatchObject({ code: 0 });

  const last = (run: string) => join(folder, run, stepFolders(join(folder, run)).at(-1)!);
  for (const file of ['model.safetensors', 'weights.safetensors', 'optimizer.safetensors'])
    expect(readFileSync(join(last('killed'), file)).equals(readFileSync(join(last('whole'), file))), file).toBe(true);
});
