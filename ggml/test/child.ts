import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const OPTIONS = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };

export interface ChildResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/**
 * Runs a script of this directory in a process of its own, with the sources of the package as `@sled-tts/ggml`, so that an
 * abort or a segmentation fault is a result and not the end of the test run.
 */
export async function runChild(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ChildResult> {
  const build = path.join(PACKAGE, 'build');
  mkdirSync(build, { recursive: true });
  const directory = mkdtempSync(path.join(build, 'child-'));
  try {
    transpile(path.join(PACKAGE, 'src'), path.join(directory, 'src'));
    const source = readFileSync(path.join(PACKAGE, 'test', script), 'utf8').replaceAll(
      '@sled-tts/ggml',
      './src/index.js',
    );
    const entry = path.join(directory, script.replace(/\.ts$/, '.js'));
    writeFileSync(entry, ts.transpileModule(source, { compilerOptions: OPTIONS }).outputText);
    return await run(entry, args, env);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function transpile(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const item of readdirSync(from, { withFileTypes: true })) {
    const source = path.join(from, item.name);
    if (item.isDirectory()) transpile(source, path.join(to, item.name));
    else {
      const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), { compilerOptions: OPTIONS });
      writeFileSync(path.join(to, item.name.replace(/\.ts$/, '.js')), outputText);
    }
  }
}

function run(entry: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--expose-gc', entry, ...args], { env: { ...process.env, ...env } });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, output }));
  });
}
