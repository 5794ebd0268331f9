import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { BpePieces, PieceWords, type BpePiece } from './bpe-pieces.js';
import type { TextFrontEnd, TextSpan, TextStream } from './front-end.js';

/** RoBERTa's special tokens; the first four have the ids 0 to 3. */
export const BPE_SPECIALS = ['<s>', '<pad>', '</s>', '<unk>'] as const;
const MASK = '<mask>';
const [BEGIN, , END] = [0, 1, 2];
const CACHE_LIMIT = 50_000;
// The largest vocabularies in use have some hundred thousand entries.
const MAX_FILE_BYTES = 32 * 1024 * 1024;

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new RangeError(
      `tokenizer: cannot read ${path}: ${(error as Error).message}; expected vocab.json and merges.txt in one directory`,
      {
        cause: error,
      },
    );
  }
  if (bytes.length > MAX_FILE_BYTES)
    throw new RangeError(`tokenizer: ${path} has ${bytes.length} bytes, expected at most ${MAX_FILE_BYTES}`);
  return bytes.toString('utf8');
}

/** The texts of `vocab.json` and `merges.txt`. */
export interface BpeFiles {
  readonly vocab: string;
  readonly merges: string;
}

/** Reads both files of a directory. @throws {RangeError} */
export const readBpeFiles = (directory: string): BpeFiles => ({
  vocab: readText(join(directory, 'vocab.json')),
  merges: readText(join(directory, 'merges.txt')),
});

function parseVocabulary(text: string, path: string): Record<string, number> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`tokenizer: ${path}: expected JSON {"token": id}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const vocabulary = parsed as Record<string, number>;
  const ids = new Set(Object.values(vocabulary));
  for (let id = 0; id < ids.size; id++) {
    if (!ids.has(id))
      throw new RangeError(`tokenizer: ${path}: expected the ids 0 to ${ids.size - 1}, each once; ${id} is missing`);
  }
  if (ids.size !== Object.keys(vocabulary).length)
    throw new RangeError(`tokenizer: ${path}: expected every id once, one has two tokens`);
  BPE_SPECIALS.forEach((token, id) => {
    if (vocabulary[token] !== id)
      throw new RangeError(`tokenizer: ${path}: expected ${token} to have id ${id}, got ${vocabulary[token]}`);
  });
  return vocabulary;
}

function parseMerges(text: string, vocabulary: Record<string, number>, path: string): [string, string][] {
  const lines = text.split(/\r?\n/);
  const first = lines[0].startsWith('#version') ? 1 : 0;
  const merges: [string, string][] = [];
  lines.forEach((line, index) => {
    if (index < first || line === '') return;
    const parts = line.split(' ');
    if (parts.length !== 2 || !Object.hasOwn(vocabulary, parts.join(''))) {
      throw new RangeError(
        `tokenizer: ${path}:${index + 1}: expected two tokens whose union is in the vocabulary, got "${line}"`,
      );
    }
    merges.push([parts[0], parts[1]]);
  });
  return merges;
}

/** Byte-level BPE in RoBERTa's files, `vocab.json` and `merges.txt`: case and spaces are kept, no space is added. */
export class BytePairs implements TextFrontEnd {
  readonly vocabSize: number;
  private readonly tokenizer: Tokenizer;
  private readonly specials: ReadonlyMap<string, number>;
  private readonly cache = new Map<string, readonly number[]>();

  constructor(vocabulary: Record<string, number>, merges: readonly (readonly [string, string])[]) {
    this.vocabSize = Object.keys(vocabulary).length;
    // The released vocabulary has no <mask>: there it is five ordinary letters and signs, not an id outside the embedding.
    const names = [...BPE_SPECIALS, MASK].filter((token) => Object.hasOwn(vocabulary, token));
    this.specials = new Map(names.map((token) => [token, vocabulary[token]]));
    this.tokenizer = new Tokenizer(
      {
        model: { type: 'BPE', vocab: vocabulary, merges: merges.map((pair) => [...pair]), unk_token: '<unk>' },
        pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
        decoder: { type: 'ByteLevel' },
        normalizer: null,
        post_processor: null,
        added_tokens: [],
      },
      {},
    );
  }

  /** Reads `vocab.json` and `merges.txt` of a directory; a RangeError names the file and what was expected. */
  static load(directory: string): BytePairs {
    return BytePairs.parse(readBpeFiles(directory), directory);
  }

  /** From the texts of both files; a RangeError names the file, below `source`, and what was expected. */
  static parse({ vocab, merges }: BpeFiles, source: string): BytePairs {
    const vocabulary = parseVocabulary(vocab, join(source, 'vocab.json'));
    return new BytePairs(vocabulary, parseMerges(merges, vocabulary, join(source, 'merges.txt')));
  }

  /** `<s>`, the text's ids, `</s>`. */
  encode(text: string): number[] {
    const stream = this.createStream();
    return [...stream.push(text), ...stream.end()];
  }

  /** A text that arrives in parts; at most one piece (a word, a run of signs or spaces) is held back. */
  createStream(): TextStream {
    const pieces = new BpePieces([...this.specials.keys()], MASK);
    let opened = false;
    const begin = (): number[] => {
      const ids = opened ? [] : [BEGIN];
      opened = true;
      return ids;
    };
    const pieceWords = new PieceWords();
    let words: (TextSpan | undefined)[] = [];
    const idsOf = (parts: readonly BpePiece[]): number[] => {
      const ids = begin();
      words = ids.map(() => undefined);
      for (const part of parts) {
        const own = part.special ? [this.specials.get(part.text) ?? 0] : this.pieceIds(part.text);
        const word = pieceWords.of(part);
        ids.push(...own);
        words.push(...own.map(() => word));
      }
      return ids;
    };
    const end = (): number[] => {
      const rest = idsOf(pieces.end());
      words.push(undefined);
      return [...rest, END];
    };
    return {
      push: (text) => idsOf(pieces.push(text)),
      end,
      get words() {
        return words;
      },
    };
  }

  private pieceIds(piece: string): readonly number[] {
    const cached = this.cache.get(piece);
    if (cached !== undefined) return cached;
    const { ids } = this.tokenizer.encode(piece, { add_special_tokens: false });
    if (this.cache.size >= CACHE_LIMIT) this.cache.clear();
    this.cache.set(piece, ids);
    return ids;
  }
}
