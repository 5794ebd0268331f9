import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const program = new URL('fake-main.mjs', import.meta.url).pathname;
const letters = 'abcdefghij'.repeat(20);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sled-process-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Starts the command line in the test's folder, 10 ms a letter. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: folder,
    env: { ...process.env, FAKE_DELAY_MS: '10' },
  });
  return { child, stderr: text(child.stderr), closed: once(child, 'close') as Promise<[number | null, string | null]> };
}

async function untilPartial(): Promise<void> {
  while (!(await readdir(folder)).some((name) => name.endsWith('.partial'))) await sleep(5);
}

describe('the process', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('stops cleanly on %s: one line, code 130, no file', async (signal) => {
    const { child, stderr, closed } = start('say', letters);
    await untilPartial();
    child.kill(signal);
    expect(await closed).toEqual([130, null]);
    expect(await stderr).toBe('sled-tts: stopped\n');
    expect(await readdir(folder)).toEqual([]);
  });

  it('stops on Ctrl-C while it waits for text', async () => {
    const { child, stderr, closed } = start('stream', '--out', 'a.wav');
    await untilPartial();
    child.kill('SIGINT');
    expect(await closed).toEqual([130, null]);
    expect(await stderr).toBe('sled-tts: stopped\n');
    expect(await readdir(folder)).toEqual([]);
  });

  it('is quiet when the reader of its output has gone, as with head', async () => {
    const { child, stderr, closed } = start('say', letters, '--out', '-');
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await closed).toEqual([0, null]);
    expect(await stderr).toBe('');
  });
});
