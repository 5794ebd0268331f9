import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BPE_SPECIALS } from './bpe.js';
import { BpePieces } from './bpe-pieces.js';
import { MergeQueue } from './merge-queue.js';

export interface BpeTrainingOptions {
  /** Number of entries: 4 special tokens, 256 bytes, the rest merges. */
  readonly vocabSize: number;
  /** Pairs that are rarer are not merged; 2 by default. */
  readonly minFrequency?: number;
}

/** What `trainBpe` learned, as RoBERTa's files hold it. */
export interface BpeVocabulary {
  readonly vocabulary: Record<string, number>;
  readonly merges: readonly (readonly [string, string])[];
}

interface Word {
  symbols: number[];
  readonly count: number;
}

const BYTES = 256;

/** GPT-2's printable stand-in of every byte. */
export function byteLetters(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = BYTES;
  return Array.from({ length: BYTES }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

function countWords(lines: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const pieces = new BpePieces([], '');
    for (const { text } of [...pieces.push(line), ...pieces.end()]) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

/** Replaces a pair in a word; `changed` receives every neighbouring pair that went (-1) or came (+1). */
function mergeIn(
  word: Word,
  pair: readonly [number, number],
  merged: number,
  changed: (left: number, right: number, by: number) => void,
): void {
  const { symbols } = word;
  for (let at = 0; at + 1 < symbols.length; at++) {
    if (symbols[at] !== pair[0] || symbols[at + 1] !== pair[1]) continue;
    if (at > 0) {
      changed(symbols[at - 1], pair[0], -1);
      changed(symbols[at - 1], merged, 1);
    }
    if (at + 2 < symbols.length) {
      changed(pair[1], symbols[at + 2], -1);
      changed(merged, symbols[at + 2], 1);
    }
    symbols.splice(at, 2, merged);
  }
}

/**
 * Learns a byte-level BPE vocabulary from lines of text: the most frequent pair is merged first, of equally frequent ones
 * that with the smaller ids. Same merges as the `tokenizers` library's trainer.
 */
export function trainBpe(lines: Iterable<string>, options: BpeTrainingOptions): BpeVocabulary {
  const { vocabSize, minFrequency = 2 } = options;
  const smallest = BPE_SPECIALS.length + BYTES;
  if (!Number.isInteger(vocabSize) || vocabSize < smallest) {
    throw new RangeError(
      `trainBpe: expected a vocabSize of at least ${smallest} (${BPE_SPECIALS.length} special tokens and ${BYTES} bytes), got ${vocabSize}`,
    );
  }
  const letters = byteLetters();
  const tokens = [...BPE_SPECIALS, ...letters.toSorted((a, b) => a.charCodeAt(0) - b.charCodeAt(0))];
  const idOf = new Map<string, number>(tokens.map((token, id) => [token, id]));
  const words = [...countWords(lines)].map(([text, count]): Word => {
    const symbols = [...Buffer.from(text, 'utf8')].map((byte) => idOf.get(letters[byte]) ?? 0);
    return { symbols, count };
  });
  const queue = new MergeQueue();
  words.forEach((word, index) => {
    for (let at = 0; at + 1 < word.symbols.length; at++)
      queue.add(word.symbols[at], word.symbols[at + 1], word.count, index);
  });
  queue.settle();
  const merges: [string, string][] = [];
  while (tokens.length < vocabSize) {
    const best = queue.pop();
    if (best === undefined || best.count < minFrequency) break;
    const pair = [best.left, best.right] as const;
    const token = tokens[pair[0]] + tokens[pair[1]];
    const id = idOf.get(token) ?? tokens.push(token) - 1;
    idOf.set(token, id);
    merges.push([tokens[pair[0]], tokens[pair[1]]]);
    for (const index of best.words) {
      const word = words[index];
      mergeIn(word, pair, id, (left, right, by) => queue.add(left, right, by * word.count, index));
    }
    queue.settle();
  }
  return { vocabulary: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}

/** Writes `vocab.json` and `merges.txt` into a directory, which is made. */
export function saveBpe(directory: string, { vocabulary, merges }: BpeVocabulary): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'vocab.json'), `${JSON.stringify(vocabulary)}\n`);
  writeFileSync(join(directory, 'merges.txt'), `#version: 0.2\n${merges.map((pair) => pair.join(' ')).join('\n')}\n`);
}
