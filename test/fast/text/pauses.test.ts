import { describe, expect, it } from 'vitest';
import { PauseSplitter } from '../../../src/text/pauses.js';

function split(text: string, size = text.length || 1) {
  const warnings: string[] = [];
  const splitter = new PauseSplitter((message) => warnings.push(message));
  const parts = [];
  for (let i = 0; i < text.length; i += size) parts.push(...splitter.push(text.slice(i, i + size)));
  parts.push(...splitter.end());
  const merged: unknown[] = [];
  for (const part of parts) {
    if ('said' in part) expect(text.slice(part.start, part.start + part.said.length)).toBe(part.said);
    if ('said' in part && typeof merged.at(-1) === 'string') merged.push(`${String(merged.pop())}${part.said}`);
    else merged.push('said' in part ? part.said : part);
  }
  return { parts: merged, warnings };
}

describe('[pause:SECONDS]', () => {
  it.each<[string, unknown[]]>([
    ['one [pause:0.5] two', ['one ', { seconds: 0.5 }, ' two']],
    ['[Pause:1][pause: 2 ]', [{ seconds: 1 }, { seconds: 2 }]],
    ['[pause:0]', [{ seconds: 0 }]],
    ['no [pauses] [ here [pau', ['no [pauses] [ here [pau']],
    ['[pause:a word that goes on', ['[pause:a word that goes on']],
    ['[[pause:1]]', ['[', { seconds: 1 }, ']']],
  ])('%s', (text, parts) => {
    for (const size of [1, 2, 3, 7, 100]) expect(split(text, size)).toEqual({ parts, warnings: [] });
  });

  it.each(['[pause:]', '[pause:-1]', '[pause:x]', '[pause:61]', '[pause:1e9]', '[pause:0.5s]'])(
    'leaves %s out, with a warning',
    (broken) => {
      const { parts, warnings } = split(`a ${broken}b`, 2);
      expect(parts).toEqual(['a b']);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain(`left out '${broken}': expected [pause:SECONDS] with 0 to 60`);
    },
  );
});
