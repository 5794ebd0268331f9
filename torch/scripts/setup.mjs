// Finds or fetches libtorch and compiles the addon against it. Safe to interrupt and to run again: everything is made
// under another name and renamed, and what is up to date is left alone.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileAddon, isCurrent } from './compile.mjs';
import { findInstalled, fetchLibtorch } from './libtorch.mjs';

const buildDirectory = join(import.meta.dirname, '..', 'build');

function main() {
  const stampFile = join(buildDirectory, 'stamp.json');
  const stamp = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, 'utf8')) : null;
  const libtorch = findInstalled() ?? fetchLibtorch();
  const next = isCurrent(stamp, libtorch) ? stamp : compileAddon(libtorch, buildDirectory);
  mkdirSync(buildDirectory, { recursive: true });
  if (next !== stamp) writeFileSync(stampFile, JSON.stringify(next, null, 2));
  const state = next === stamp ? 'up to date' : 'compiled';
  console.log(
    `libtorch ${libtorch.version} (${libtorch.gpu ? 'GPU' : 'CPU'}) from ${libtorch.source}: ${libtorch.path}; addon ${state}`,
  );
}

try {
  main();
} catch (error) {
  rmSync(join(buildDirectory, 'torch.node.tmp'), { force: true });
  console.error(`setup:torch: ${error.message}`);
  process.exit(1);
}
