import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeWav } from '../../../src/audio/wav-reader.js';
import { FakeHub } from './fake-hub.js';
import { CODEC, MODEL, publishReleasedLayout } from './released-layout.js';

const program = new URL('../../../dist/cli/main.js', import.meta.url).pathname;
const hub = new FakeHub();
let home: string;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'sled-hub-home-'));
  publishReleasedLayout(hub);
  await hub.start();
});
afterAll(async () => {
  await hub.stop();
  rmSync(home, { recursive: true });
});

/** Starts the built command line with its own home of Hugging Face's tools. */
function start(args: string[], environment: Record<string, string> = {}) {
  const { PATH } = process.env;
  const env = { PATH, HF_HOME: home, HF_ENDPOINT: hub.endpoint, ...environment };
  const child = spawn(process.execPath, [program, ...args], { cwd: home, env });
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  return { child, closed, stdout: text(child.stdout), stderr: text(child.stderr) };
}

const SAY = ['say', 'Hello there.', '--model', MODEL, '--max-frames', '30', '--threads', '1', '--out', 'a.wav'];
const blobs = () => join(home, 'hub/models--some-org--tiny-streaming/blobs');
const incomplete = () =>
  existsSync(blobs()) ? readdirSync(blobs()).find((name) => /^[0-9a-f]{64}\.incomplete$/.test(name)) : undefined;

it('says in one line that a model is not there, offline', async () => {
  const { closed, stderr } = start(SAY, { HF_HUB_OFFLINE: '1' });
  expect(await closed).toEqual([1, null]);
  expect(await stderr).toMatch(/^sled-tts: some-org\/tiny-streaming: not in the cache .*HF_HUB_OFFLINE[^\n]*\n$/);
});

it('goes on after it was killed in the middle of a download, and speaks', async () => {
  hub.faults.stalls = true;
  const killed = start(SAY);
  let half: string | undefined;
  while (half === undefined || statSync(join(blobs(), half)).size === 0) {
    await sleep(10);
    half = incomplete();
  }
  killed.child.kill('SIGKILL');
  await killed.closed;
  const bytes = statSync(join(blobs(), half)).size;
  expect(bytes).toBeGreaterThan(0);
  hub.faults.stalls = false;
  hub.takeSeen();
  const { closed, stdout, stderr } = start(SAY);
  expect([await closed, await stderr]).toEqual([[0, null], '']);
  expect(await stdout).toMatch(/of speech in/);
  const ranges = hub
    .takeSeen()
    .filter(({ host, path }) => host === 'storage' && path.includes(MODEL) && path.endsWith('safetensors'));
  expect(ranges.map(({ range }) => range)).toEqual([`bytes=${bytes}-`]);
  const { samples, sampleRate } = decodeWav(readFileSync(join(home, 'a.wav')));
  expect([samples.length % 24, sampleRate]).toEqual([0, 1800]); // EnCodec's hop of 24
  expect(samples.length).toBeGreaterThan(0);
  expect(incomplete()).toBeUndefined();
}, 60_000);

it('speaks the same again offline, and lists what is in the cache', async () => {
  const first = readFileSync(join(home, 'a.wav'));
  const again = start(SAY, { HF_HUB_OFFLINE: '1' });
  expect([await again.closed, await again.stderr]).toEqual([[0, null], '']);
  expect(readFileSync(join(home, 'a.wav'))).toEqual(first);
  const { stdout } = start(['voices']);
  const lines = (await stdout).trim().split('\n');
  expect(lines[0]).toMatch(/^wren +\d+\.\d MB +shipped/);
  expect(lines.slice(1).map((line) => line.split(/ +/)[0])).toEqual([CODEC, MODEL]);
});
