import { readFileSync } from 'node:fs';
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

  it('of what trains are not installed with the package', () => {
    for (const name of ['@sled-tts/torch', 'apache-arrow', '@alexanderolsen/libsamplerate-js'])
      expect(Object.keys({ ...root.dependencies, ...root.optionalDependencies })).not.toContain(name);
  });
});
