import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { codeBlocks, commandsOf } from '../../fast/package/readme.js';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const MAX_INSTALLED_MB = 60;

/** An empty folder into which the packed package was installed. */
let folder: string;
const shell = (command: string) => execFileSync('bash', ['-c', command], { cwd: folder, encoding: 'utf8' });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sled-package-'));
  const npm = (cwd: string, ...args: string[]) => execFileSync('npm', args, { cwd, encoding: 'utf8' });
  const tarball = npm(repository, 'pack', '--silent', '--pack-destination', folder).trim().split('\n').at(-1);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }');
  npm(folder, 'install', '--no-audit', '--no-fund', `./${tarball}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed package, installed into an empty folder', () => {
  it(`takes at most ${MAX_INSTALLED_MB} MB`, () => {
    const megabytes = Number(shell('du -sk node_modules').split('\t')[0]) / 1024;
    console.log(`installed: ${megabytes.toFixed(1)} MB`);
    expect(megabytes).toBeLessThanOrEqual(MAX_INSTALLED_MB);
  });

  it('has no training, no sources and no build leftovers in it', () => {
    const packed = join(folder, 'node_modules/sled-tts');
    expect(readdirSync(packed).sort()).toEqual([
      'LICENSE',
      'README.md',
      'dist',
      'node_modules',
      'package.json',
      'voices',
    ]);
    expect(readdirSync(join(packed, 'node_modules/@sled-tts'))).toEqual(['ggml']);
    for (const name of ['train', 'data', '.tsbuildinfo']) expect(existsSync(join(packed, 'dist', name))).toBe(false);
    expect(existsSync(join(folder, 'node_modules/@sled-tts'))).toBe(false);
  });

  it.each(commandsOf('Command line'))('runs the command of the README: %s', (command) => {
    const before = new Set(readdirSync(folder));
    shell(command);
    for (const name of readdirSync(folder).filter((one) => !before.has(one) && one.endsWith('.wav')))
      expect(decodeWav(readFileSync(join(folder, name))).samples.length).toBeGreaterThan(10_000);
  });

  it('runs the examples of the README, and their types fit', () => {
    const examples = codeBlocks('ts');
    examples.forEach((example, i) => writeFileSync(join(folder, `example-${i}.mts`), example));
    const options = '--noEmit --strict --module nodenext --target es2023 --types node --skipLibCheck false';
    const types = join(repository, 'node_modules/@types');
    const compiler = join(repository, 'node_modules/.bin/tsc');
    shell(`'${compiler}' ${options} --typeRoots '${types}' example-*.mts`);
    examples.forEach((example, i) => {
      writeFileSync(join(folder, `example-${i}.mjs`), example); // they hold no type annotations
      shell(`node example-${i}.mjs`);
    });
    expect(decodeWav(readFileSync(join(folder, 'ferry.wav'))).samples.length).toBeGreaterThan(10_000);
  });

  it('says in one line that training needs the repository', () => {
    const output = shell('node_modules/.bin/sled-tts train config.json --data a --out b 2>&1; test $? = 1');
    expect(output).toMatch(/^sled-tts: training needs a clone of the repository[^\n]*\n$/);
  });
});
