import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import * as everything from '@sled-tts/ggml';
import { GgmlError, openGgml } from '@sled-tts/ggml';
import manifest from '../../package.json' with { type: 'json' };
import { PACKAGE_VERSIONS } from '../../src/platform.js';
import { runChild } from '../child.js';

const directory = mkdtempSync(path.join(tmpdir(), 'ggml-'));
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => delete process.env.SLED_GGML_DIR);

const NAMES = process.platform === 'win32' ? ['ggml-base.dll', 'ggml.dll'] : ['libggml-base.so', 'libggml.so'];

test('a directory without ggml is refused by name', () => {
  expect(() => openGgml({ directory })).toThrow(/expected ggml's shared libraries .* found none/);
  process.env.SLED_GGML_DIR = path.join(directory, 'nowhere');
  expect(() => openGgml()).toThrow(/nowhere, found none/);
});

test('files that are no libraries are refused', () => {
  for (const name of NAMES) writeFileSync(path.join(directory, name), 'not a library');
  expect(() => openGgml({ directory })).toThrow(GgmlError);
  expect(() => openGgml({ directory })).toThrow(/does not load/);
});

test('the versions named in errors are those that the package depends on', () => {
  const platforms: Record<string, string> = { linux: 'linux', mac: 'darwin', win: 'win32' };
  const libraries = Object.entries(manifest.peerDependencies).filter(([name]) => name.startsWith('@node-llama-cpp/'));
  expect(libraries).toHaveLength(4);
  for (const [name, version] of libraries) {
    const [, family] = /\/(\w+)-/.exec(name) ?? [];
    expect(PACKAGE_VERSIONS[platforms[family]], name).toBe(version);
  }
});

test('ggml is opened once a process', () => {
  const ggml = openGgml();
  expect(openGgml()).toBe(ggml);
  expect(openGgml({ directory: ggml.directory })).toBe(ggml);
  expect(() => openGgml({ directory })).toThrow(/is open from .* already/);
});

test('what was forgotten is freed by the garbage collector, and worker threads may compute too', async () => {
  const { code, output } = await runChild('forgotten.ts', []);
  expect(code, output).toBe(0);
  const { before, after, fromWorker } = JSON.parse(output.trim().split('\n').at(-1) ?? '{}');
  expect(before.context).toBeGreaterThanOrEqual(20);
  expect(after).toEqual({ backend: 1, context: 0, buffer: 0, graph: 0, tensor: 0 });
  expect(fromWorker).toEqual([2, 4]);
}, 60_000);

test('the package exports what it promises', () => {
  expect(Object.keys(everything).sort()).toEqual([
    'Backend',
    'BufferType',
    'Context',
    'GgmlError',
    'GgufFile',
    'Ggml',
    'Graph',
    'PACKED_TYPES',
    'ShapeError',
    'TENSOR_TYPES',
    'Tensor',
    'graphComputations',
    'isQuantized',
    'liveObjects',
    'openGgml',
    'openGgmlAsync',
    'openGguf',
    'writeGguf',
  ].sort()); // prettier-ignore
});
