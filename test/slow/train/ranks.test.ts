import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startTraining, stepFolders, writeTinyRun, type Started } from '../../fast/train/tiny-run.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ranks-'));
  writeTinyRun(folder, { steps: 60, microBatches: 2 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const out = (name: string) => join(folder, name);
const PORT = '29911';

/** Starts rank `rank` of two as torchrun or a cluster would, without our launcher. */
const startRank = (rank: number, address: string, flags: string[], before: string[] = []) =>
  startTraining(folder, [...flags, '--timeout', '60'], {
    env: { RANK: String(rank), WORLD_SIZE: '2', MASTER_ADDR: address, MASTER_PORT: PORT },
    before,
  });

/** The command that starts `sled-tts` under torchrun; null where there is none. */
const torchrun = ((): string[] | null => {
  try {
    return [execFileSync('sh', ['-c', 'command -v torchrun'], { encoding: 'utf8' }).trim(), '--no-python'];
  } catch {
    return null;
  }
})();

const files = ['model.safetensors', 'weights.safetensors', 'optimizer.safetensors'];
const lastFiles = (run: string) =>
  files.map((file) => readFileSync(join(out(run), stepFolders(out(run)).at(-1) ?? '', file)).toString('base64'));

async function untilStep(run: string, step: number, { child }: Started): Promise<void> {
  const reached = () => Number(stepFolders(out(run)).at(-1)?.slice(5) ?? 0) >= step;
  while (!reached() && child.exitCode === null) await sleep(5);
}

async function reference(): Promise<string[]> {
  if (stepFolders(out('whole')).length === 0) {
    const whole = startTraining(folder, ['--out', out('whole'), '--processes', '2', '--quiet']);
    expect(await whole.ended).toMatchObject({ code: 0, errors: '' });
  }
  return lastFiles('whole');
}

test('goes on to the same bits after a rank was killed, and the other said so', async () => {
  const flags = ['--out', out('killed'), '--save-every', '1', '--quiet'];
  for (const victim of [1, 0, 1]) {
    const before = Number(stepFolders(out('killed')).at(-1)?.slice(5) ?? 0);
    const ranks = [0, 1].map((rank) => startRank(rank, '127.0.0.1', flags));
    await untilStep('killed', before + 8, ranks[0]);
    ranks[victim].child.kill('SIGKILL');
    const survivor = await ranks[1 - victim].ended;
    expect(survivor.code).toBe(1);
    expect(survivor.errors).toMatch(new RegExp(`^sled-tts: rank ${1 - victim} of 2: .* failed: .*\\n$`));
    await ranks[victim].ended;
  }
  expect(await startTraining(folder, [...flags, '--processes', '2']).ended).toMatchObject({ code: 0 });
  expect(lastFiles('killed')).toEqual(await reference());
});

test('SIGTERM at one rank makes all stop with a checkpoint at the same step, from which they go on', async () => {
  const flags = ['--out', out('stopped'), '--save-every', '10', '--quiet'];
  const ranks = [0, 1].map((rank) => startRank(rank, '127.0.0.1', flags));
  await untilStep('stopped', 10, ranks[0]);
  ranks[1].child.kill('SIGTERM');
  for (const { ended } of ranks) expect(await ended).toMatchObject({ code: 0, errors: '' });
  expect(await startTraining(folder, [...flags, '--processes', '2']).ended).toMatchObject({ code: 0 });
  expect(lastFiles('stopped')).toEqual(await reference());
});

test('refuses ranks that were started differently', async () => {
  const flags = (steps: string) => ['--out', out('different'), '--steps', steps, '--quiet'];
  const ranks = [startRank(0, '127.0.0.1', flags('60')), startRank(1, '127.0.0.1', flags('61'))];
  const [first, second] = await Promise.all(ranks.map(({ ended }) => ended));
  expect(second).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/another configuration or other data than rank 0/) as string,
  });
  expect(first.code).toBe(1);
});

// Namespaces of their own need root; elsewhere this test does not exist. For root a machine that forbids them is a failure.
if (process.getuid?.() === 0) {
  const names = [`sled-a-${process.pid}`, `sled-b-${process.pid}`];
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  afterEach(() => {
    for (const name of names)
      try {
        ip('netns', 'delete', name);
      } catch {
        // it was not there
      }
  });

  const inNamespace = (i: number) => ['ip', 'netns', 'exec', names[i]];
  function connectNamespaces(): void {
    const links = [`sa${process.pid}`, `sb${process.pid}`];
    for (const name of names) ip('netns', 'add', name);
    ip('link', 'add', links[0], 'netns', names[0], 'type', 'veth', 'peer', 'name', links[1], 'netns', names[1]);
    names.forEach((name, i) => {
      ip('-n', name, 'address', 'add', `10.87.0.${i + 1}/24`, 'dev', links[i]);
      ip('-n', name, 'link', 'set', links[i], 'up');
      ip('-n', name, 'link', 'set', 'lo', 'up'); // rank 0 reaches its own address over it
    });
  }

  test('trains across two network namespaces with addresses of their own', async () => {
    const whole = await reference();
    connectNamespaces();
    const ranks = names.map((_, rank) =>
      startRank(rank, '10.87.0.1', ['--out', out('apart'), '--quiet'], inNamespace(rank)),
    );
    for (const { ended } of ranks) expect(await ended).toMatchObject({ code: 0, errors: '' });
    expect(lastFiles('apart')).toEqual(whole);
  });

  if (torchrun)
    test('trains under torchrun on two machines, as two namespaces are', async () => {
      const whole = await reference();
      connectNamespaces();
      const nodes = names.map((_, node) => {
        const rendezvous = ['--node-rank', String(node), '--master-addr', '10.87.0.1', '--master-port', PORT];
        const before = [...inNamespace(node), ...torchrun, '--nnodes', '2', '--nproc-per-node', '1', ...rendezvous];
        return startTraining(folder, ['--out', out('torchrun'), '--quiet'], { before });
      });
      for (const { ended } of nodes) expect((await ended).code).toBe(0);
      expect(lastFiles('torchrun')).toEqual(whole);
    });
}

// Where Python's torch is installed.
if (torchrun)
  test('goes on by itself under torchrun when a rank was killed', async () => {
    const whole = await reference();
    const place = ['--nproc-per-node', '2', '--max-restarts', '1', '--master-port', PORT];
    const flags = ['--out', out('restarted'), '--save-every', '5', '--quiet'];
    const run = startTraining(folder, flags, { before: [...torchrun, ...place] });
    await untilStep('restarted', 5, run);
    const ranks = execFileSync('pgrep', ['-P', String(run.child.pid)], { encoding: 'utf8' }).trim().split('\n').map(Number); // prettier-ignore
    process.kill(ranks[ranks.length - 1], 'SIGKILL');
    expect((await run.ended).code).toBe(0);
    expect(lastFiles('restarted')).toEqual(whole);
  });
