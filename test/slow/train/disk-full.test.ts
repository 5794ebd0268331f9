import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMAND, stepFolders, writeTinyRun } from '../../fast/train/tiny-run.js';

// A file system of its own needs root; elsewhere this test does not exist. For root a machine that forbids it is a failure.
if (process.getuid?.() === 0 && process.platform === 'linux')
  test('a full disk ends the run with one line and the last good checkpoint, from which it goes on once there is room', () => {
    const folder = mkdtempSync(join(tmpdir(), 'disk-full-'));
    const at = (...names: string[]) => join(folder, ...names);
    writeTinyRun(folder, { steps: 12 });
    mkdirSync(at('disk'));
    const train = `"${process.execPath}" "${COMMAND}" train config.json --data . --save-every 4 --keep 1 --threads 1 --quiet`;
    const shell = (script: string) => execFileSync('unshare', ['-m', 'sh', '-c', script], { cwd: folder });
    shell(`${train} --out whole`);
    const checkpoint = at('whole', stepFolders(at('whole'))[0]);
    const bytes = readdirSync(checkpoint).reduce((sum, name) => sum + statSync(join(checkpoint, name)).size, 0);
    // Room for one checkpoint and a half.
    shell(`
      mount -t tmpfs -o size=${Math.round(1.5 * bytes)} tmpfs disk
      ${train} --out disk/run 2> errors; echo $? > code
      ls disk/run > left
      mount -o remount,size=${4 * bytes} disk
      ${train} --out disk/run && cp -r disk/run resumed`);
    expect(readFileSync(at('code'), 'utf8')).toBe('1\n');
    expect(readFileSync(at('errors'), 'utf8')).toBe(
      'sled-tts: disk/run/step-00000008: cannot be written: ENOSPC: no space left on device, write; ' +
        'step-00000004 is whole, and the same command goes on from it\n',
    );
    expect(readFileSync(at('left'), 'utf8')).toBe('step-00000004\n');
    for (const name of ['model', 'weights', 'optimizer']) {
      const [whole, resumed] = ['whole', 'resumed'].map((run) => readFileSync(at(run, 'step-00000012', `${name}.safetensors`))); // prettier-ignore
      expect(resumed.equals(whole), name).toBe(true);
    }
    rmSync(folder, { recursive: true });
  });
