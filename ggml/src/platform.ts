import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { GgmlError } from './errors.js';

const require = createRequire(import.meta.url);

// Best first: whoever installed an accelerated variant wants it. Names as node-llama-cpp publishes them.
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['linux-x64-cuda', 'linux-x64-vulkan', 'linux-x64'],
  'linux-arm64': ['linux-arm64'],
  'linux-arm': ['linux-armv7l'],
  'darwin-arm64': ['mac-arm64-metal'],
  'darwin-x64': ['mac-x64'],
  'win32-x64': ['win-x64-cuda', 'win-x64-vulkan', 'win-x64'],
  'win32-arm64': ['win-arm64'],
};
const SCOPE = '@node-llama-cpp';
/** The versions that this package was tested with; package.json pins them too. */
export const PACKAGE_VERSIONS: Readonly<Record<string, string>> = {
  linux: '3.22.1',
  darwin: '3.21.1',
  win32: '3.21.1',
};

/** The two libraries that are opened by name; backends (CPU builds, CUDA, ...) are found by ggml beside them. */
export interface GgmlLibraries {
  readonly directory: string;
  readonly base: string;
  readonly registry: string;
}

/** Finds ggml: `directory`, else SLED_GGML_DIR, else the installed platform package. GgmlError says what is missing. */
export function findLibraries(directory?: string): GgmlLibraries {
  const named = directory ?? (process.env.SLED_GGML_DIR || undefined);
  if (named !== undefined) {
    const libraries = librariesIn(named);
    if (libraries) return libraries;
    throw new GgmlError(`openGgml: expected ggml's shared libraries (ggml-base and ggml) in ${named}, found none`);
  }
  const platform = `${process.platform}-${process.arch}`;
  const packages = PACKAGES[platform];
  if (!packages) {
    throw new GgmlError(
      `openGgml: no prebuilt ggml for ${platform} (there is for ${Object.keys(PACKAGES).join(', ')}); ` +
        'build ggml yourself and set SLED_GGML_DIR to the directory of its shared libraries',
    );
  }
  for (const name of packages) {
    const libraries = librariesOfPackage(name);
    if (libraries) return libraries;
  }
  throw new GgmlError(`openGgml: ${missing(packages[packages.length - 1])}`);
}

/** Values of SLED_GGML_KERNELS: the most that our own kernels may use, enum instructions of native/kernels.h. */
const KERNEL_LEVELS: Readonly<Record<string, number>> = { off: 0, avx2: 1, avx512: 2, '': 3 };

/**
 * The library of our own kernels, which `npm ci` compiles where there is a compiler and the published package holds, and the
 * most that they may use. SLED_GGML_KERNELS=off leaves everything to ggml's, =avx2 and =avx512 do without newer instructions.
 */
export function findKernels(): { file: string | undefined; mostLevel: number } {
  const wanted = process.env.SLED_GGML_KERNELS ?? '';
  const mostLevel = KERNEL_LEVELS[wanted] as number | undefined;
  if (mostLevel === undefined)
    throw new GgmlError(`openGgml: expected off, avx2 or avx512 in SLED_GGML_KERNELS, got ${wanted}`);
  const file = fileURLToPath(new URL(`../build/kernels-${process.platform}-${process.arch}.so`, import.meta.url));
  return { file: mostLevel > 0 && existsSync(file) ? file : undefined, mostLevel };
}

/** Why the libraries do not load on Alpine and the like. */
export const MUSL_ADVICE =
  'the prebuilt ggml needs glibc and this system uses musl (Alpine); use a glibc image ' +
  "or set SLED_GGML_DIR to ggml's libraries built here";

function missing(name: string): string {
  if (isMusl()) return MUSL_ADVICE;
  const wanted = `${SCOPE}/${name}@${PACKAGE_VERSIONS[process.platform]}`;
  return `${SCOPE}/${name} is not installed (were optional dependencies left out?); npm install ${wanted}, or set SLED_GGML_DIR`;
}

/** What to do where no GPU is found. */
export function gpuAdvice(): string {
  const accelerated = (PACKAGES[`${process.platform}-${process.arch}`] ?? []).slice(0, -1);
  if (accelerated.length === 0)
    return 'ggml has no package for a GPU of this platform; SLED_GGML_DIR names a build of it';
  // The first is the one that is opened; libraries of another would bring a second copy of ggml into the process.
  const installed = accelerated.map(librariesOfPackage).find((libraries) => libraries !== undefined);
  if (installed) return `${installed.directory} finds none: ${whyGpuIsMissing(installed.directory).join('; ')}`;
  const version = PACKAGE_VERSIONS[process.platform];
  const packages = accelerated.map((name) => `${SCOPE}/${name}@${version}`).join(' or ');
  return `npm install ${packages}, and see that the GPU's driver is there and as new as the package asks for`;
}

const GPU_BACKEND = /^(lib)?ggml-(cuda|vulkan)\.(so|dll)$/;

/** ggml passes silently over a backend that does not load: what the system says of those in a directory. */
export function whyGpuIsMissing(directory: string): string[] {
  const files = readdirSync(directory).filter((file) => GPU_BACKEND.test(file));
  const reasons = files.map((file) => {
    try {
      koffi.load(path.join(directory, file)); // is found where it looked before, or says why not
      return "is the GPU's driver there, and as new as the package asks for?";
    } catch (error) {
      const { message } = error as Error;
      if (/libcuda\.|libvulkan\.|nvcuda|vulkan-1/.test(message)) return `the GPU's driver is not there (${message})`;
      const cuda = /(libcudart|libcublas\w*)\.so\.(\d+)/.exec(message);
      return cuda
        ? `CUDA ${cuda[2]} is not installed, or not where libraries are looked for (${message})`
        : `${file} does not load: ${message}`;
    }
  });
  return reasons.length > 0 ? reasons : ['its backend for the GPU is gone; install the package anew'];
}

/** The backend for CUDA's version before, which a package of its own brings, beside the package for CUDA in `directory`. */
export function olderCuda(directory: string): string | undefined {
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  if (librariesOfPackage(`${platform}-cuda`)?.directory !== directory) return undefined;
  const bins = binsOfPackage(`${platform}-cuda-ext`);
  if (bins === undefined) return undefined;
  const folders = readdirSync(bins).map((folder) => path.join(bins, folder, 'fallback')).filter(existsSync); // prettier-ignore
  const files = folders.flatMap((folder) => readdirSync(folder).map((file) => path.join(folder, file)));
  return files.find((file) => GPU_BACKEND.test(path.basename(file)));
}

/** True on Linux without glibc. */
export function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime === undefined;
}

function binsOfPackage(name: string): string | undefined {
  try {
    const bins = path.join(path.dirname(require.resolve(`${SCOPE}/${name}`)), '..', 'bins');
    return existsSync(bins) ? bins : undefined;
  } catch {
    return undefined;
  }
}

function librariesOfPackage(name: string): GgmlLibraries | undefined {
  const bins = binsOfPackage(name);
  if (bins === undefined) return undefined;
  for (const folder of readdirSync(bins)) {
    const libraries = librariesIn(path.join(bins, folder));
    if (libraries) return libraries;
  }
  return undefined;
}

/** libggml.so, libggml.v0.5.0.so, libggml.metal.v0.4.0.dylib, ggml.dll, ... but none of ggml-base, ggml-cpu-*. */
const REGISTRY = /^(lib)?ggml(\.[\w.]+)?\.(so|dylib|dll)$/;
const BASE = /^(lib)?ggml-base(\.[\w.]+)?\.(so|dylib|dll)$/;

function librariesIn(directory: string): GgmlLibraries | undefined {
  if (!existsSync(directory)) return undefined;
  const files = readdirSync(directory).sort();
  const base = files.find((file) => BASE.test(file));
  const registry = files.find((file) => REGISTRY.test(file));
  if (!base || !registry) return undefined;
  return {
    directory: path.resolve(directory),
    base: path.resolve(directory, base),
    registry: path.resolve(directory, registry),
  };
}
