#!/usr/bin/env node
// Phonemes of text lines by the library's own front end:  node phonemes.mjs LINES.tsv PHONEMES.tsv
// In: id TAB text. Out: id TAB text TAB phoneme tokens (a JSON list).
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { phonemeTokens } from '../../dist/text/phonemes.js';

const [source, target] = process.argv.slice(2);
const lines = readFileSync(source, 'utf8').split('\n').filter(Boolean);
const spoken = lines.map((line) => {
  const [id, text] = line.split('\t');
  return `${id}\t${text}\t${JSON.stringify(phonemeTokens(text))}\n`;
});
writeFileSync(`${target}.part`, spoken.join(''));
renameSync(`${target}.part`, target);
