import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'setup-torch-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A directory that looks like libtorch as far as the setup looks before it compiles. */
function fakeLibtorch(minor: number, symbols: string): string {
  const path = join(folder, `libtorch-${minor}-${symbols.length}`);
  const headers = join(path, 'include/torch/csrc/api/include/torch');
  mkdirSync(headers, { recursive: true });
  mkdirSync(join(path, 'lib'));
  const numbers = { MAJOR: 2, MINOR: minor, PATCH: 1 };
  const lines = Object.entries(numbers).map(([part, value]) => `#define TORCH_VERSION_${part} ${value}\n`);
  writeFileSync(join(headers, 'version.h'), lines.join(''));
  writeFileSync(join(path, 'lib/libc10.so'), symbols);
  return path;
}

function setup(env: Record<string, string>): { status: number | null; message: string } {
  const result = spawnSync(process.execPath, [script], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], SLED_TORCH_CACHE: join(folder, 'cache'), ...env },
  });
  const lines = result.stderr.trim().split('\n').filter((line) => line.startsWith('setup:torch')); // prettier-ignore
  return { status: result.status, message: lines.join('\n') };
}

const current = 'x NSt7__cxx1112basic_string x';

describe('setup:torch refuses, in one line,', () => {
  it.each([
    ['an old libtorch', () => ({ LIBTORCH: fakeLibtorch(5, current) }), /version 2\.5\.1 is older than 2\.6/],
    [
      'one of the old C++ ABI',
      () => ({ LIBTORCH: fakeLibtorch(6, 'Ss') }),
      /version 2\.6\.1 has the C\+\+ ABI from before/,
    ],
    ['a directory that is none', () => ({ LIBTORCH: folder }), /no include\/torch headers there/],
    [
      'a machine without a compiler',
      () => ({ LIBTORCH: fakeLibtorch(9, current), CXX: 'no-such-compiler' }),
      /install g\+\+/,
    ],
    ['a machine without Python', () => ({ PYTHON: 'no-such-python' }), /needs python3 with pip/],
    [
      'wheels that are not there',
      () => ({ SLED_TORCH_WHEELS: folder, PYTHON: 'no-such-python' }),
      /lacks wheels for torch==/,
    ],
  ])('%s', (_, env, message) => {
    // prettier-ignore
    const result = setup(env());
    expect(result.status).toBe(1);
    expect(result.message).toMatch(message);
    expect(result.message.split('\n')).toHaveLength(1);
  });
});
