import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from './libtorch.mjs';

const sourceDirectory = fileURLToPath(new URL('../native', import.meta.url));
const addonFile = fileURLToPath(new URL('../build/torch.node', import.meta.url));
const compiler = process.env.CXX ?? 'g++';

function hashOf(libtorch) {
  const hash = createHash('sha256').update(
    `${libtorch.path} ${libtorch.version} ${libtorch.gpu} ${flags(libtorch).join(' ')}`,
  );
  const files = readdirSync(sourceDirectory, { recursive: true }).filter((name) => /\.(cc|h)$/.test(name));
  for (const file of files.sort()) hash.update(readFileSync(join(sourceDirectory, file)));
  return hash.digest('hex').slice(0, 16);
}

/** Whether the addon in build/ was made from these sources and this libtorch. */
export function isCurrent(stamp, libtorch) {
  return stamp?.hash === hashOf(libtorch) && existsSync(addonFile);
}

function flags({ path, gpu }) {
  const nodeHeaders = createRequire(import.meta.url)('node-api-headers').include_dir;
  const include = join(path, 'include');
  const lib = join(path, 'lib');
  return [
    ...['-std=c++20', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-DNAPI_VERSION=8'],
    ...[`-I${nodeHeaders}`, `-isystem${include}`, `-isystem${join(include, 'torch/csrc/api/include')}`],
    ...['-idirafter', join(sourceDirectory, 'gloo-names')],
    ...[`-L${lib}`, '-Wl,--no-as-needed', '-ltorch_cpu', '-lc10', ...(gpu ? ['-ltorch_cuda', '-lc10_cuda'] : [])],
    `-Wl,-rpath,${lib}`,
    ...openMp(lib),
  ];
}

// Our kernels run on libtorch's threads: its OpenMP runtime, under the name that its wheel gave it, comes before the
// compiler's own, which is then not needed.
function openMp(lib) {
  if (process.platform !== 'linux') return [];
  const bundled = readdirSync(lib).filter((name) => name.startsWith('libgomp'));
  return [...bundled.map((name) => join(lib, name)), '-Wl,--as-needed', '-fopenmp'];
}

/** Compiles the addon into the cache, once for all checkouts with these sources, and puts it into `buildDirectory`. */
export function compileAddon(libtorch, buildDirectory) {
  const hash = hashOf(libtorch);
  const cached = join(cacheDirectory, `addon-${hash}.node`);
  if (!existsSync(cached)) {
    mkdirSync(dirname(cached), { recursive: true });
    const temporary = `${cached}.${process.pid}.tmp`;
    compile(libtorch, temporary);
    renameSync(temporary, cached);
  }
  mkdirSync(buildDirectory, { recursive: true });
  copyFileSync(cached, `${addonFile}.tmp`);
  renameSync(`${addonFile}.tmp`, addonFile);
  return { hash, libtorch: libtorch.path, version: libtorch.version };
}

function compile(libtorch, output) {
  console.error(`compiling the addon for libtorch ${libtorch.version} (half a minute)`);
  const [first, ...rest] = [join(sourceDirectory, 'addon.cc'), '-o', output, ...flags(libtorch)];
  const result = spawnSync(compiler, [first, ...rest], { encoding: 'utf8' });
  if (result.error) throw new Error(`needs a C++ compiler and found no ${compiler}; install g++ or set CXX`);
  if (result.status === 0) return;
  const line = result.stderr.split('\n').find((text) => text.includes('error')) ?? `exit code ${result.status}`;
  throw new Error(`${compiler} failed: ${line}`);
}
