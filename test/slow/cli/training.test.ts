import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeWav } from '../../../src/audio/wav-writer.js';
import { commandsOf } from '../../fast/package/readme.js';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const SAMPLE_RATE = 24_000;
const STEPS = 3;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sled-training-'));
  cpSync(join(repository, 'configs'), join(folder, 'configs'), { recursive: true });
  const lines = Array.from({ length: 24 }, (_, i) => recording(i));
  writeFileSync(join(folder, 'recordings.jsonl'), lines.join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a sound with a few harmonics; returns its line of the manifest. */
function recording(index: number): string {
  const seconds = 1 + (index % 3) * 0.5;
  const samples = Float32Array.from({ length: seconds * SAMPLE_RATE }, (_, i) => {
    const phase = (2 * Math.PI * (110 + 7 * index) * i) / SAMPLE_RATE;
    const voice = [1, 2, 3, 4, 5].reduce((sum, harmonic) => sum + Math.sin(harmonic * phase) / harmonic, 0);
    return 0.2 * voice * Math.sin(i / 3000) ** 2 + 0.01 * Math.sin(i * i);
  });
  writeFileSync(join(folder, `${index}.wav`), encodeWav(samples, SAMPLE_RATE));
  return JSON.stringify({
    id: `sound-${index}`,
    start: 0,
    duration: seconds,
    supervisions: [{ text: `hello there, number ${index}` }],
    recording: { sources: [{ source: `${index}.wav` }], sampling_rate: SAMPLE_RATE },
    type: 'MonoCut',
  });
}

/** A command of the README, for this folder and short. */
const shortened = (command: string) =>
  command
    .replace('sled-tts train', 'sled-tts train --log-every 1')
    .replace('npx sled-tts', `node ${join(repository, 'dist/cli/main.js')}`)
    .replace(/--minutes \d+/, `--steps ${STEPS}`)
    .replace(/ train configs\S+/, '$& --log-every 1'); // events hold what the log lines say
const shell = (command: string) => execFileSync('bash', ['-c', command], { cwd: folder, encoding: 'utf8' });
const [, ...commands] = commandsOf('Tests and training');
const checkpoints = () => readdirSync(join(folder, 'run')).filter((name) => name.startsWith('step-'));

describe('training from the command line', () => {
  it.each(commands)('runs the command of the README: %s', (command) => {
    shell(shortened(command));
  });

  it('left a codec, shards, a checkpoint and events', () => {
    expect(existsSync(join(folder, 'codec/model.safetensors'))).toBe(true);
    expect(readdirSync(join(folder, 'shards'))).toEqual(['prepare.json', 'recordings-00000.arrow']);
    expect(checkpoints()).toEqual(['step-00000003']);
    expect(readdirSync(join(folder, 'run/events')).length).toBe(1);
  });

  it('goes on where it stopped when the same command is given again', () => {
    const output = shell(shortened(commands.at(-1)!).replace(`--steps ${STEPS}`, `--steps ${STEPS + 2}`));
    expect(output).toBe('5 steps of 5: run\n');
    expect(checkpoints()).toContain('step-00000005');
  });

  it('stops on Ctrl-C with a checkpoint', async () => {
    const [program, ...args] = shortened(commands.at(-1)!).split(' ');
    const child = spawn(program, [...args, '--steps', '100000'], { cwd: folder });
    await once(child.stderr, 'data'); // the first line: a step was made
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    expect(checkpoints().at(-1)! > 'step-00000005').toBe(true);
  });

  it.each([
    ['train', 'train nothing.json --data shards --out other', /no such file.*nothing\.json/],
    ['train', 'train configs/first-voice.json --data nothing --out other', /nothing/],
    ['prepare', 'prepare nothing.jsonl --codec codec --out other', /nothing\.jsonl/],
    ['prepare', 'prepare recordings.jsonl --codec nothing --out other', /nothing/],
    ['codec train', 'codec train nothing.jsonl --out other', /nothing\.jsonl/],
    [
      'train',
      'train configs/first-voice.json --data shards --out other --minutes soon',
      /--minutes.*expected a number/,
    ],
  ])('%s refuses bad input with one line: %s', (_verb, args, message) => {
    const output = shell(`node ${join(repository, 'dist/cli/main.js')} ${args} 2>&1; test $? = 1`);
    expect(output).toMatch(message);
    expect(output).toMatch(/^sled-tts: [^\n]+\n$/);
  });
});
