import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  bundleDependencies?: string[];
}
const manifest = (path: string) => JSON.parse(read(path)) as Manifest;
const versions = (one: Manifest): Record<string, string> => ({
  ...one.peerDependencies,
  ...one.devDependencies,
  ...one.optionalDependencies,
  ...one.dependencies,
});

const root = manifest('package.json');
const ggml = manifest('ggml/package.json');
const all = { ...versions(ggml), ...versions(manifest('torch/package.json')), ...versions(root) };
const documented = Object.fromEntries(
  [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| (\S+) \| .+ \|$/gm)].map(([, name, version]) => [
    name,
    version,
  ]),
);

describe('dependencies', () => {
  it('are each listed in docs/dependencies.md with their version and a reason, and nothing else is', () => {
    expect(documented).toEqual(all);
  });

  it('are pinned exactly', () => {
    for (const [name, version] of Object.entries(all)) expect(`${name} ${version}`).toMatch(/ \d+\.\d+\.\d+$/);
  });

  it('of the bundled ggml workspace are dependencies of the package, which is what installs them', () => {
    expect(root.bundleDependencies).toEqual(['@sled-tts/ggml']);
    expect(ggml.dependencies).toBeUndefined(); // npm would pack this machine's copies of them into the bundle
    expect(ggml.optionalDependencies).toBeUndefined();
    expect({ ...root.dependencies, ...root.optionalDependencies }).toMatchObject(ggml.peerDependencies ?? {});
  });

  it('that speaking imports are installed with the package or compiled into it', () => {
    const known = new Set([...Object.keys(versions({ ...root, devDependencies: {} })), ...compiledIn()]);
    expect(speakingImports().filter((name) => !known.has(name))).toEqual([]);
  });
});

/** The libraries that `npm pack` compiles into dist. */
function compiledIn(): string[] {
  const [, table] = read('scripts/inline-libraries.mjs').match(/^const LIBRARIES = \{\n([^]*?)\n\};/m)!;
  return [...table.matchAll(/^ {2}'?([^':]+)'?: '/gm)].map(([, name]) => name);
}

/** What the sources of the package import from other packages; training is no part of it. */
function speakingImports(): string[] {
  const folder = fileURLToPath(new URL('../../../src', import.meta.url));
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts') && !/^(train|data)\//.test(name));
  const imports = sources.flatMap((name) =>
    [...read(`src/${name}`).matchAll(/(?<!import type .*)(?:from |import\(|\)\()'([@a-z][\w@/.-]*)'/g)].map(
      ([, one]) => one,
    ),
  );
  return [...new Set(imports.filter((one) => !one.startsWith('node:')))];
}
