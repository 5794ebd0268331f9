import { readFileSync } from 'node:fs';
import { run } from './run.js';
import type { World } from './world.js';

/** Shells' code for a program that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

/** Runs this process's command line: arguments, standard streams and signals. */
export async function runProcess(loadSpeaker: World['loadSpeaker']): Promise<void> {
  const abort = new AbortController();
  /** The first Ctrl-C ends the work cleanly, the second at once. */
  const interrupt = () => {
    if (abort.signal.aborted) process.exit(EXIT_INTERRUPTED);
    abort.abort(new Error('interrupted'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  process.stdout.on('error', (error) => abort.abort(error));
  process.stderr.on('error', () => undefined);
  const { stdin, stdout, stderr } = process;
  const world = { stdin, stdout, stderr, signal: abort.signal, loadSpeaker };
  process.exitCode = await run(process.argv.slice(2), world, packageVersion());
}

function packageVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
