import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import koffi from 'koffi';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { openGgml } from '@sled-tts/ggml';
import { findKernels, findLibraries, gpuAdvice, isMusl, olderCuda, whyGpuIsMissing } from '../../src/platform.js';
import { runChild } from '../child.js';

const directory = mkdtempSync(path.join(tmpdir(), 'ggml-platform-'));
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

/** Another machine, as Node would describe it. */
function pretend(platform: string, arch: string): void {
  vi.spyOn(process, 'platform', 'get').mockReturnValue(platform as NodeJS.Platform);
  vi.spyOn(process, 'arch', 'get').mockReturnValue(arch as NodeJS.Architecture);
}

const withoutGlibc = () => vi.spyOn(process.report!, 'getReport').mockReturnValue({ header: {} } as never);

test('a processor that ggml is not built for is named, with those that it is built for', () => {
  pretend('linux', 'riscv64');
  expect(() => findLibraries()).toThrow(/no prebuilt ggml for linux-riscv64 \(there is for linux-x64, linux-arm64/);
  pretend('sunos', 'x64');
  expect(() => findLibraries()).toThrow(/no prebuilt ggml for sunos-x64 .*SLED_GGML_DIR/);
});

test('our own kernels are left out where they were not made for the processor, or are not wanted; another wish is refused', () => {
  pretend('linux', 'riscv64');
  expect(findKernels().file).toBeUndefined();
  vi.restoreAllMocks();
  vi.stubEnv('SLED_GGML_KERNELS', 'off');
  expect(findKernels()).toEqual({ file: undefined, mostLevel: 0 });
  vi.stubEnv('SLED_GGML_KERNELS', 'sse');
  expect(findKernels).toThrow('openGgml: expected off, avx2 or avx512 in SLED_GGML_KERNELS, got sse');
});

test('on musl the line says so, whether the libraries are missing or do not load', () => {
  pretend('linux', 'arm');
  expect(() => findLibraries()).toThrow(/linux-armv7l is not installed .*npm install @node-llama-cpp\/linux-armv7l@/);
  withoutGlibc();
  expect(isMusl()).toBe(true);
  expect(() => findLibraries()).toThrow(/needs glibc and this system uses musl \(Alpine\)/);
  for (const name of ['libggml-base.so', 'libggml.so']) writeFileSync(path.join(directory, name), 'not a library');
  expect(() => openGgml({ directory })).toThrow(/does not load: .*uses musl/);
});

test('where no GPU is found the line names the packages to install, or says that there is none for this platform', () => {
  pretend('linux', 'x64');
  expect(gpuAdvice()).toMatch(/npm install .*linux-x64-cuda@.* or .*linux-x64-vulkan@|is installed and finds none/);
  pretend('linux', 'arm64');
  expect(gpuAdvice()).toMatch(/no package for a GPU of this platform/);
});

test('a GPU backend that does not load says which library it lacks', () => {
  const folder = mkdtempSync(path.join(directory, 'lacking-'));
  expect(whyGpuIsMissing(folder)).toEqual(['its backend for the GPU is gone; install the package anew']);
  writeFileSync(path.join(folder, 'libggml-cuda.so'), 'no library');
  expect(whyGpuIsMissing(folder)).toEqual([expect.stringMatching(/libggml-cuda\.so/)]);
  const load = vi.spyOn(koffi, 'load');
  const lacks = (name: string) => load.mockImplementation(() => { throw new Error(`${name}: cannot open shared object file`); }); // prettier-ignore
  lacks('libcublas.so.13');
  expect(whyGpuIsMissing(folder)[0]).toMatch(/^CUDA 13 is not installed, .*libcublas/);
  lacks('libcuda.so.1');
  expect(whyGpuIsMissing(folder)[0]).toMatch(/^the GPU's driver is not there .*libcuda/);
});

test('the build for an older CUDA is looked for only beside the package for CUDA', () => {
  expect(olderCuda(directory)).toBeUndefined();
});

/** A folder with the libraries whose names are wanted, of this machine's ggml. */
function someLibraries(name: string, wanted: RegExp): string {
  const folder = mkdtempSync(path.join(directory, name));
  const source = openGgml().directory;
  for (const file of readdirSync(source).filter((file) => wanted.test(file)))
    copyFileSync(path.join(source, file), path.join(folder, file));
  return folder;
}

test.runIf(process.platform === 'linux')(
  'a processor that no build of ggml runs on is a line, not a crash',
  async () => {
    const { code, output } = await runChild('devices.ts', [someLibraries('none-', /^libggml(-base)?(\.[\w.]+)?\.so$/)]);
    expect(output).toMatch(/holds no backend that this machine can run/);
    expect(code).toBe(0);
  },
);

test.runIf(process.platform === 'linux')(
  'a GPU backend that does not load leaves the processor, and says what to see to',
  async () => {
    const folder = someLibraries('driver-', /^libggml/);
    rmSync(path.join(folder, 'libggml-vulkan.so'), { force: true });
    writeFileSync(path.join(folder, 'libggml-cuda.so'), 'needs a newer driver');
    const { code, output } = await runChild('devices.ts', [folder]);
    expect(output).toMatch(/found cpu\n/);
    expect(output).toMatch(/expected a device of CPU \(cpu\), got gpu; .*driver/);
    expect(code).toBe(0);
  },
);
