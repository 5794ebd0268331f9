import { readFileSync } from 'node:fs';

export const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** The fenced code blocks of a language, in the README or in a part of it. */
export function codeBlocks(language: string, text = README): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map(([, body]) => body);
}

/** The commands under a heading of the README, one a line. */
export function commandsOf(heading: string): string[] {
  const part = README.split(/^## /m).find((one) => one.startsWith(`${heading}\n`));
  if (part === undefined) throw new Error(`README.md has no heading '${heading}'`);
  return codeBlocks('sh', part).flatMap((block) => block.trim().split('\n'));
}
