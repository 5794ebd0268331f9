import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { GgmlError } from './errors.js';

/** Longer than a driver takes that compiles the kernels first. */
const PATIENCE_MS = 120_000;
const SCRIPT = fileURLToPath(new URL('../dist/probe-child.js', import.meta.url));

/** What tells most first: CUDA's own words stand behind the operation that failed. */
const LAST_WORDS = [/error: /i, /error|fail|abort/i];

/** Whether this program, started with a script, would run the script and not itself. */
const RUNS_SCRIPTS = process.versions.electron !== undefined || /^node/i.test(path.basename(process.execPath));

const probes = new Map<string, Promise<void>>();

/**
 * Lets another process compute a little on a device, once a device: ggml ends the process where a driver refuses its kernels, as
 * those older than a package for CUDA do.
 * @param directory of ggml's libraries
 * @param script what the process runs; for tests
 * @throws {GgmlError} with the line that the driver says
 */
export function probe(directory: string, device: string, script = SCRIPT): Promise<void> {
  const key = [directory, device, script].join();
  const begun = probes.get(key) ?? run(directory, device, script);
  probes.set(key, begun);
  return begun;
}

async function run(directory: string, device: string, script: string): Promise<void> {
  if (!RUNS_SCRIPTS || !existsSync(script)) return; // bundled into one file with its user's program
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1', SLED_GGML_LOG: '1' };
  const child = spawn(process.execPath, [script, directory, device], { env, stdio: ['ignore', 'ignore', 'pipe'], timeout: PATIENCE_MS }); // prettier-ignore
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const status = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(0)); // no processes are to be had here: it comes out when the device is used
    child.on('close', resolve);
  });
  if (status === 0) return;
  const lines = said.split('\n');
  const reason =
    LAST_WORDS.flatMap((word) => lines.find((line) => word.test(line)) ?? [])[0] ?? 'it ended a process that tried';
  throw new GgmlError(
    `backend: ${device} is there and cannot compute: ${reason.trim()} (a driver that is older than the package's kernels? ` +
      'a newer driver helps, or the package for Vulkan)',
  );
}
