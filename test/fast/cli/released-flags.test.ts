import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createProgram } from '../../../src/cli/program.js';
import { RELEASED_FLAGS } from '../../../src/cli/released-flags.js';
import { parseConfig } from '../../../src/model/config.js';
import { parseTrainingConfig } from '../../../src/train/training-config.js';
import golden from '../../golden/recipe.json' with { type: 'json' };
import { runFake } from './fake-world.js';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const listed = RELEASED_FLAGS.flatMap(({ released }) => released.split(' '));

test('has a place for every option of the released commands', () => {
  expect(golden.flags.length).toBeGreaterThan(33);
  expect(golden.flags.filter((flag) => !listed.includes(flag))).toEqual([]);
  expect(listed.length).toBe(new Set(listed).size);
});

test('names places that there are: flags of the verbs, keys of the configs', () => {
  const { model } = JSON.parse(read('configs/libriheavy-stream.json')) as { model: Record<string, unknown> };
  const sink = new PassThrough();
  const program = createProgram({ stdin: sink, stdout: sink, stderr: sink, signal: AbortSignal.abort(), loadSpeaker: () => Promise.reject(new Error('not loaded')) }, '0'); // prettier-ignore
  const flagsOf = (verb: string) =>
    program.commands.find((command) => command.name() === verb)?.options.map(({ long }) => long) ?? [];
  for (const { ours, released } of RELEASED_FLAGS) {
    const [place, name] = ours.split(/[ .](.*)/);
    if (place === 'model') expect(() => parseConfig({ ...model, [name]: model[name] ?? 1 }), ours).not.toThrow();
    else if (place === 'training') expect(Object.keys(parseTrainingConfig({})), ours).toContain(name);
    else if (place !== '-') expect(flagsOf(place), `${released}: ${ours}`).toContain(name);
  }
});

test('lists them in the help and, the same, in docs/training.md', async () => {
  const { stdout, code } = await runFake(['train', '--help']);
  expect(code).toBe(0);
  const page = read('docs/training.md');
  for (const { ours, released, note } of RELEASED_FLAGS) {
    expect(stdout.toString()).toContain(released);
    const row = `| ${ours === '-' ? '' : `\`${ours}\``} | ${released.split(' ').map((flag) => `\`${flag}\``).join(' ')} | ${note} |`; // prettier-ignore
    expect(page).toContain(row);
  }
});
