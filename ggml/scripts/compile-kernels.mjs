// Compiles native/*.c where that can be done: on Linux on x64, with a C compiler ($CC, cc, gcc or clang) that knows the
// instructions. Anywhere else ggml's own kernels do the same work, more slowly, so that nothing here is an error. With
// --require it is one: a package is not to be published without.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));
const native = join(folder, 'native');
const library = join(folder, `build/kernels-${process.platform}-${process.arch}.so`);
// Without the C library, so that it runs beside any version of it.
const FLAGS = ['-std=c11', '-O3', '-fno-math-errno', '-Wall', '-Wextra', '-Werror', '-fvisibility=hidden'];
FLAGS.push('-shared', '-fPIC', '-nostdlib', '-s');
// One file of 4 KB less a segment.
FLAGS.push('-Wl,-z,noseparate-code', '-Wl,--build-id=none');
// It stays loaded until the process ends: its helper still runs when Node closes the libraries that it opened.
FLAGS.push('-Wl,-z,nodelete');

const files = () => readdirSync(native).map((name) => join(native, name));
const modified = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Undefined, or why not. */
function compile(compiler) {
  const unfinished = `${library}.${process.pid}`;
  const sources = files().filter((file) => file.endsWith('.c'));
  try {
    execFileSync(compiler, [...FLAGS, '-o', unfinished, ...sources, '-lgcc'], { stdio: 'pipe' });
    renameSync(unfinished, library);
    return undefined;
  } catch (error) {
    return error.code === 'ENOENT' ? `no ${compiler}` : `${compiler}: ${String(error.stderr).split('\n')[0]}`;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function build() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'they are for Linux on x64';
  const made = [...files(), fileURLToPath(import.meta.url)];
  if (made.every((file) => modified(library) > modified(file))) return undefined;
  mkdirSync(join(folder, 'build'), { recursive: true });
  const reasons = [];
  for (const compiler of process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang']) {
    const reason = compile(compiler);
    if (reason === undefined) return undefined;
    reasons.push(reason);
  }
  return reasons.join('; ');
}

const reason = build();
if (reason !== undefined) console.error(`our kernels are not compiled, ggml's serve: ${reason}`);
if (reason !== undefined && process.argv.includes('--require')) process.exit(1);
