import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../../src/data/random.js';
import { startTraining, stepFolders, writeTinyRun } from '../../fast/train/tiny-run.js';

/** Fewer or more of them: SLED_TTS_KILLS=15 npx vitest run --project slow test/slow/train/kill.test.ts */
const KILLS = Number(process.env['SLED_TTS_KILLS'] ?? 50);
const SAVE_EVERY = 3;
const STEPS = 6 * KILLS + 12; // more than are done between the kills
const HOOK = pathToFileURL(join(import.meta.dirname, 'kill-hook.mjs')).href;

/** Where a process was, as the hook noted it. */
interface Place {
  updates: number;
  /** Accumulated of the next update; -1 before the first step. */
  parts: number;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kill-'));
  writeTinyRun(folder, { steps: STEPS, microBatches: 4 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const out = (name: string) => join(folder, name);
const stepOf = (name: string) => Number(stepFolders(out(name)).at(-1)?.slice(5) ?? 0);
const isWriting = (name: string) => stepOf(name) > 0 && readdirSync(out(name)).some((file) => file.endsWith('.part'));
const lastFiles = (name: string) =>
  ['model', 'weights', 'optimizer'].map((file) =>
    readFileSync(join(out(name), stepFolders(out(name)).at(-1) ?? '', `${file}.safetensors`)).toString('base64'),
  );

function start(name: string, at: Record<string, string> = {}, saveEvery = SAVE_EVERY) {
  const place = join(folder, 'place.json');
  rmSync(place, { force: true });
  const env = { PLACE: place, NODE_OPTIONS: `--import ${HOOK}`, ...at };
  const flags = ['--out', out(name), '--save-every', String(saveEvery), '--threads', '1', '--quiet'];
  const noted = (): Place | null => {
    try {
      return JSON.parse(readFileSync(place, 'utf8')) as Place;
    } catch {
      return null; // not there yet
    }
  };
  return { ...startTraining(folder, flags, { env }), noted };
}

let whole: string[] | undefined;
async function uninterrupted(): Promise<string[]> {
  if (!whole) expect(await startTraining(folder, ['--out', out('whole'), '--threads', '1', '--quiet']).ended).toMatchObject({ code: 0 }); // prettier-ignore
  return (whole ??= lastFiles('whole'));
}

test(`loses no more than the steps since the last checkpoint, and no bit, in ${KILLS} kills`, async () => {
  const random = new Random(5);
  const kills = { accumulating: 0, writing: 0, elsewhere: 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    const before = stepOf('killed');
    // In turn: between two parts of a step, at a file operation of a checkpoint, and at any time after the first update.
    const at = [`part:${7 + random.below(12)}`, `write:${1 + random.below(30)}`, ''][kill % 3];
    const { child, ended, noted } = start('killed', { AT: at });
    if (at === '') {
      while ((noted()?.updates ?? 0) === 0 && child.exitCode === null) await sleep(2);
      await sleep(random.uniform() * 40);
      child.kill('SIGKILL');
    }
    await ended;
    expect(child.signalCode, `kill ${kill} at ${at}`).toBe('SIGKILL');
    const { updates, parts } = noted() ?? { updates: 0, parts: 0 };
    if (isWriting('killed')) kills.writing++;
    else if (parts > 0) kills.accumulating++;
    else kills.elsewhere++;
    expect(stepOf('killed'), `last checkpoint after ${updates} steps from ${before}`).toBeGreaterThanOrEqual(before + updates - SAVE_EVERY); // prettier-ignore
  }
  expect(kills.accumulating).toBeGreaterThanOrEqual(Math.floor(KILLS / 3));
  expect(kills.writing).toBeGreaterThanOrEqual(Math.floor(KILLS / 5));
  expect(stepOf('killed')).toBeLessThan(STEPS);
  expect(await start('killed').ended).toMatchObject({ code: 0 });
  expect(lastFiles('killed')).toEqual(await uninterrupted());
});

test('SIGTERM between two parts of a step ends that step, writes a checkpoint and goes on to the same bits', async () => {
  const { ended, noted } = start('stopped', { AT: 'part:14', SIGNAL: 'SIGTERM' }, STEPS);
  expect(await ended).toMatchObject({ code: 0, errors: '' });
  expect(noted()).toMatchObject({ updates: stepOf('stopped'), parts: 0 });
  expect(stepOf('stopped')).toBeLessThan(STEPS);
  expect(await start('stopped').ended).toMatchObject({ code: 0 });
  expect(lastFiles('stopped')).toEqual(await uninterrupted());
});
