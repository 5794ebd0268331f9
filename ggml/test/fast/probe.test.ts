import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openGgml } from '@sled-tts/ggml';
import { probe } from '../../src/probe.js';

const directory = mkdtempSync(path.join(tmpdir(), 'ggml-probe-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('a device that computes passes, and is asked once', async () => {
  const first = probe(openGgml().directory, 'CPU');
  expect(probe(openGgml().directory, 'CPU')).toBe(first);
  await expect(first).resolves.toBeUndefined();
});

test('what ends the other process is an error that tells its last words', async () => {
  const script = path.join(directory, 'old-driver.mjs');
  writeFileSync(script, "console.error('MUL_MAT failed\\nCUDA error: the provided PTX was compiled with an unsupported toolchain.'); process.abort();\n"); // prettier-ignore
  await expect(probe(directory, 'CUDA0', script)).rejects.toThrow(
    /^backend: CUDA0 is there and cannot compute: CUDA error: the provided PTX was compiled with an unsupported toolchain\. \(a driver/,
  );
});

test('a process that says nothing is an error too', async () => {
  const script = path.join(directory, 'silent.mjs');
  writeFileSync(script, 'process.exit(3);\n');
  await expect(probe(directory, 'CUDA0', script)).rejects.toThrow('CUDA0 is there and cannot compute: it ended a process that tried'); // prettier-ignore
});
