import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { codeBlocks, commandsOf, README } from './readme.js';

const ci = readFileSync(new URL('../../../.ci/run', import.meta.url), 'utf8');

describe('README', () => {
  it('speaks in its first thirty lines and is at most two hundred long', () => {
    const lines = README.split('\n');
    expect(lines.length).toBeLessThanOrEqual(200);
    const start = lines.slice(0, 30).join('\n');
    expect(start).toContain('npm ci && npm run say -- ');
    expect(start).toContain("from 'sled-tts'");
  });

  it('streams in its second example', () => {
    expect(codeBlocks('ts')[1]).toContain('.stream(');
  });

  it('sets up in two commands, and .ci/run runs both', () => {
    const [speak] = codeBlocks('sh');
    expect(speak).toMatch(/^npm ci && npm run say -- "[^"\n]+"\n$/);
    expect(ci).toContain("grep -m1 '^npm ci && npm run say' README.md");
    expect(commandsOf('Tests and training')[0]).toBe('npm ci && npm run setup:torch && npm test');
    for (const part of ['npm ci', 'setup:torch', 'npm test', 'test:slow']) expect(ci).toContain(part);
  });

  it('holds no command that no test runs', () => {
    // The first block and the first line of the training part: .ci/run; the rest: test/slow/package.
    const tested = [codeBlocks('sh')[0].trim(), ...commandsOf('Command line'), ...commandsOf('Tests and training')];
    expect(codeBlocks('sh').flatMap((block) => block.trim().split('\n'))).toEqual(tested);
  });
});
