import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** The wheel that is fetched where no libtorch is installed. */
export const PINNED_VERSION = '2.11.0';
const MINIMUM = [2, 6];

// libtorch_cpu.so of the pinned wheel names these two even where no GPU is used.
const REQUIREMENTS = [`torch==${PINNED_VERSION}`, 'nvidia-cuda-runtime>=13,<14', 'nvidia-cuda-cupti>=13,<14'];

export const cacheDirectory = process.env.SLED_TORCH_CACHE ?? join(homedir(), '.cache', 'sled-tts', 'torch');

/** The libtorch that the user names or has in Python, or, where the addon cannot use Python's, why not. */
export function findInstalled() {
  if (process.env.LIBTORCH) {
    const found = inspect(process.env.LIBTORCH, 'LIBTORCH');
    if (found.reason) throw new Error(`LIBTORCH=${process.env.LIBTORCH}: ${found.reason}`);
    return { found };
  }
  const path = pythonTorch();
  if (!path) return {};
  const found = inspect(path, 'Python');
  return found.reason ? { skipped: found.reason } : { found };
}

function python(args, options = {}) {
  return spawnSync(process.env.PYTHON ?? 'python3', args, { encoding: 'utf8', ...options });
}

// find_spec does not run torch's own code, which takes seconds. The empty entry of sys.path is the working directory,
// where a folder that happens to be named torch would pass for a package.
function pythonTorch() {
  const script = `
import sys
from importlib.util import find_spec
sys.path = [entry for entry in sys.path if entry]
spec = find_spec('torch')
print(spec.submodule_search_locations[0] if spec and spec.origin else '')`;
  const result = python(['-c', script]);
  return result.status === 0 ? result.stdout.trim() : '';
}

function inspect(path, source) {
  const version = versionOf(path);
  const reason = !version ? 'no include/torch headers there' : reasonAgainst(path, version);
  return { path, source, version, gpu: existsSync(join(path, 'lib', 'libtorch_cuda.so')), reason };
}

// Before 2.9 the numbers are in the second header, since then in the first.
function versionOf(path) {
  for (const header of ['torch/headeronly/version.h', 'torch/csrc/api/include/torch/version.h']) {
    const file = join(path, 'include', header);
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map((part) => text.match(`#define TORCH_VERSION_${part} (\\d+)`)?.[1]);
    if (parts.every(Boolean)) return parts.join('.');
  }
  return null;
}

function reasonAgainst(path, version) {
  const [major, minor] = version.split('.').map(Number);
  if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1]))
    return `version ${version} is older than ${MINIMUM.join('.')}`;
  const core = join(path, 'lib', 'libc10.so');
  if (!existsSync(core)) return `no lib/libc10.so there`;
  // Strings of the C++11 ABI appear in symbol names; a library of the old ABI would link and then fail to load.
  if (!readFileSync(core).includes('NSt7__cxx1112basic_string'))
    return `version ${version} has the C++ ABI from before C++11`;
  return null;
}

/** The pinned libtorch in the cache, fetched by pip if it is not there. */
export function fetchLibtorch() {
  const target = join(cacheDirectory, `libtorch-${PINNED_VERSION}-${process.arch}`);
  const path = join(target, 'torch');
  if (!existsSync(target)) unpack(downloadWheels(), target);
  const found = inspect(path, 'cache');
  if (found.reason) throw new Error(`${path}: ${found.reason}; delete ${target} and try again`);
  return found;
}

function wheelsIn(directory) {
  const files = existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith('.whl')) : [];
  const wanted = [`torch-${PINNED_VERSION}`, 'nvidia_cuda_runtime-13', 'nvidia_cuda_cupti-13'];
  const found = wanted.map((start) => files.find((file) => file.startsWith(start)));
  return found.every(Boolean) ? found.map((file) => join(directory, file)) : null;
}

// The wheels in $SLED_TORCH_WHEELS, or pip's. Any Python's wheel will do, since only its libraries are used.
function downloadWheels() {
  const given = process.env.SLED_TORCH_WHEELS;
  if (given) {
    const wheels = wheelsIn(given);
    if (!wheels) throw new Error(`SLED_TORCH_WHEELS=${given} lacks wheels for ${REQUIREMENTS.join(', ')}`);
    return wheels;
  }
  if (process.platform !== 'linux')
    throw new Error(
      `fetching libtorch is for Linux; set LIBTORCH to an unpacked libtorch ${MINIMUM.join('.')} or later`,
    );
  const directory = join(cacheDirectory, 'wheels');
  mkdirSync(directory, { recursive: true });
  console.error(`fetching libtorch ${PINNED_VERSION} (550 MB) into ${directory}`);
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const target = ['manylinux_2_28', 'manylinux_2_25', 'manylinux_2_17', 'manylinux2014'];
  const platforms = target.flatMap((tag) => ['--platform', `${tag}_${machine}`]);
  const options = ['--no-deps', '--only-binary=:all:', '--python-version', '3.11', ...platforms, '-d', directory];
  const result = python(['-m', 'pip', 'download', '--disable-pip-version-check', ...options, ...REQUIREMENTS], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (result.error) throw new Error('needs python3 with pip to fetch libtorch, and found no python3');
  const wheels = wheelsIn(directory);
  if (result.status !== 0 || !wheels)
    throw new Error(`pip download failed: ${result.stderr.trim().split('\n').at(-1) || `exit code ${result.status}`}`);
  return wheels;
}

// Libraries and headers only, without what needs a GPU or Python.
const UNPACK = `
import re, sys, zipfile
target, wheels = sys.argv[1], sys.argv[2:]
wanted = re.compile(r'torch/include/|torch/lib/lib(c10|torch_cpu|torch_global_deps|gomp[^/]*|arm_compute[^/]*|openblas[^/]*|gfortran[^/]*)\\.so|torch\\.libs/|nvidia/.*/lib(cudart|cupti)\\.so|[^/]*dist-info/.*(LICENSE|NOTICE)')
for wheel in wheels:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if wanted.match(name): archive.extract(name, target)
`;

// Another setup may have been quicker: its copy is as good.
function moveInto(temporary, target) {
  try {
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
}

// What setups that were killed left behind.
function removeAbandoned(target) {
  for (const name of readdirSync(cacheDirectory)) {
    const pid = name.startsWith(basename(target)) && /\.(\d+)\.tmp$/.exec(name)?.[1];
    if (pid && !existsSync(`/proc/${pid}`)) rmSync(join(cacheDirectory, name), { recursive: true, force: true });
  }
}

function unpack(wheels, target) {
  const temporary = `${target}.${process.pid}.tmp`;
  mkdirSync(temporary, { recursive: true });
  removeAbandoned(target);
  const result = python(['-c', UNPACK, temporary, ...wheels]);
  if (result.error || result.status !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    throw new Error(`unpacking failed: ${result.error?.message ?? result.stderr.trim().split('\n').at(-1)}`);
  }
  moveInto(temporary, target);
  if (!process.env.SLED_TORCH_WHEELS) rmSync(join(cacheDirectory, 'wheels'), { recursive: true, force: true });
}
