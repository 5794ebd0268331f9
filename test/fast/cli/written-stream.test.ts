import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SpokenWord } from '../../../src/index.js';
import { MODEL, publishReleasedLayout } from '../hub/released-layout.js';

const program = new URL('../../../dist/cli/main.js', import.meta.url).pathname;
const WORDS = 'It was silent and gloomy, and Dr. Hale’s café slept by the fire; nobody spoke. “Who is there?” he asked'.split(' '); // prettier-ignore

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sled-written-'));
  const put = (name: string, file: string, content: string | Buffer) => {
    const path = join(folder, name === MODEL ? 'model' : 'codec');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, basename(file)), content);
  };
  publishReleasedLayout({ put });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The built command line on the tiny model, which reads byte-level text in turns. */
function start(verb: string[]) {
  const args = ['--model', join(folder, 'model'), '--codec', join(folder, 'codec'), '--max-frames', '120'];
  const child = spawn(process.execPath, [program, ...verb, ...args, '--threads', '1', '--guidance', '2', '--quiet'], {
    cwd: folder,
  });
  const sound: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => sound.push(piece));
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  return { child, sound, closed, stderr: text(child.stderr) };
}

it('speaks while words arrive one by one, the same sound as for the whole text, and times them', async () => {
  const { child, sound, closed, stderr } = start(['stream', '--raw', '--timings', 'words.json']);
  const [last, ...others] = [WORDS.at(-1)!, ...WORDS.slice(0, -1)];
  for (const word of others) {
    child.stdin.write(`${word} `);
    await sleep(100);
  }
  if (sound.length === 0) await once(child.stdout, 'data'); // without sound before the last word the test would wait forever
  child.stdin.end(last);
  expect([await closed, await stderr]).toEqual([[0, null], '']);
  const whole = start(['say', WORDS.join(' '), '--out', '-', '--format', 'pcm']);
  expect(await whole.closed).toEqual([0, null]);
  expect(Buffer.concat(sound).equals(Buffer.concat(whole.sound))).toBe(true);
  const { words } = JSON.parse(readFileSync(join(folder, 'words.json'), 'utf8')) as { words: SpokenWord[] };
  expect(words.length).toBeGreaterThan(2);
  words.forEach(({ word, textStart, textEnd, source }, i) => {
    expect([word, source]).toEqual([WORDS.join(' ').slice(textStart, textEnd), 'plan']);
    if (i > 0) expect(textStart).toBeGreaterThan(words[i - 1].textEnd);
  });
}, 60_000);

it('stops on Ctrl-C while it waits for the next word', async () => {
  const { child, sound, closed, stderr } = start(['stream', '--raw']);
  child.stdin.write(`${WORDS.slice(0, 12).join(' ')} `);
  if (sound.length === 0) await once(child.stdout, 'data');
  child.kill('SIGINT');
  expect(await closed).toEqual([130, null]);
  expect(await stderr).toBe('sled-tts: stopped\n');
}, 60_000);
