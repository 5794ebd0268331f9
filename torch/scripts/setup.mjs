// Finds or fetches libtorch and compiles the addon against it. Safe to interrupt and to run again: everything is made
// under another name and renamed, and what is up to date is left alone.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { compileAddon, isCurrent } from './compile.mjs';
import { findInstalled, fetchLibtorch } from './libtorch.mjs';

const buildDirectory = fileURLToPath(new URL('../build', import.meta.url));

function main() {
  const stampFile = join(buildDirectory, 'stamp.json');
  const stamp = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, 'utf8')) : null;
  const { found, skipped } = findInstalled();
  const libtorch = found ?? fetchLibtorch();
  const next = isCurrent(stamp, libtorch) ? stamp : compileAddon(libtorch, buildDirectory);
  mkdirSync(buildDirectory, { recursive: true });
  if (next !== stamp) writeFileSync(stampFile, JSON.stringify(next, null, 2));
  const state = next === stamp ? 'up to date' : 'compiled';
  const kind = libtorch.gpu ? 'with CUDA' : 'CPU';
  const note = skipped ? ` (not Python's: ${skipped})` : '';
  console.log(
    `libtorch ${libtorch.version}, ${kind}, from ${libtorch.source}: ${libtorch.path}${note}; addon ${state}`,
  );
}

try {
  main();
} catch (error) {
  console.error(`setup:torch: ${error.message.split('\n')[0]}`);
  process.exit(1);
}
