import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';

/** How long ranks have for a checkpoint after one of them failed or a second Ctrl-C came. */
const PATIENCE_MS = 30_000;
const ERROR_PREFIX = 'sled-tts: ';

/**
 * Runs the same command as `count` ranks on this machine and returns when all have ended.
 * @throws {Error} with the line of the first rank that failed; the others are stopped
 */
export async function runLocalRanks(
  command: readonly string[],
  count: number,
  { signal, stdout, stderr }: { signal: AbortSignal; stdout: Writable; stderr: Writable },
): Promise<void> {
  const port = await freePort();
  const ranks = Array.from({ length: count }, (_, rank) => startRank(command, { rank, count, port }));
  const stop = () => ranks.forEach(({ child }) => child.kill('SIGTERM'));
  let failure: string | undefined;
  let patience: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', stop, { once: true });
  ranks[0].child.stdout?.pipe(stdout, { end: false });
  createInterface({ input: ranks[0].child.stderr ?? process.stdin }).on('line', (line) => {
    if (!line.startsWith(ERROR_PREFIX)) stderr.write(`${line}\n`);
  });
  await Promise.all(
    ranks.map(async ({ ended }, rank) => {
      const { reason } = await ended;
      if (!reason || failure) return;
      failure = `rank ${rank} of ${count} ${reason}`;
      stop();
      patience = setTimeout(() => ranks.forEach(({ child }) => child.kill('SIGKILL')), PATIENCE_MS);
    }),
  );
  clearTimeout(patience);
  signal.removeEventListener('abort', stop);
  if (failure) throw new Error(failure);
}

interface Rank {
  child: ChildProcess;
  /** Why it failed; null where it did not. */
  ended: Promise<{ reason: string | null }>;
}

// Detached: Ctrl-C in a terminal would reach the ranks twice, by the terminal and by us. The channel tells them when
// this process is killed.
function startRank(
  command: readonly string[],
  { rank, count, port }: { rank: number; count: number; port: number },
): Rank {
  // prettier-ignore
  const own = { RANK: rank, LOCAL_RANK: rank, WORLD_SIZE: count, LOCAL_WORLD_SIZE: count, MASTER_PORT: port };
  const variables = Object.fromEntries(Object.entries(own).map(([name, value]) => [name, String(value)]));
  const child = spawn(process.execPath, [...process.execArgv, ...command], {
    env: { OMP_NUM_THREADS: '1', ...process.env, ...variables, MASTER_ADDR: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-10_000)));
  const ended = new Promise<{ reason: string | null }>((resolve) => {
    child.once('error', (error) => resolve({ reason: `could not be started: ${error.message}` }));
    child.once('exit', (code, killed) => {
      // what it wrote may arrive after the exit
      const wait = killed ? Promise.resolve() : new Promise((done) => child.once('close', done));
      void wait.then(() => resolve({ reason: reasonOf(code, killed, errors) }));
    });
  });
  return { child, ended };
}

function reasonOf(code: number | null, killed: NodeJS.Signals | null, errors: string): string | null {
  if (killed) return `was killed by ${killed}; run the same command again to go on from the last checkpoint`;
  if (code === 0) return null;
  const line = errors.trim().split('\n').findLast((text) => text.startsWith(ERROR_PREFIX)); // prettier-ignore
  return `failed: ${line?.slice(ERROR_PREFIX.length) ?? `exit code ${code}`}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
