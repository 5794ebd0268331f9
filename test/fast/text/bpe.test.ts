import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BytePairs, createFrontEnd, EnglishPhonemes, saveBpe, trainBpe } from '../../../src/text/index.js';
import { cutRandomly, randomNumbers, randomText } from './cuts.js';

// test/golden/bpe.py wrote the vocabulary (tokenizers' trainer) and the ids (transformers' RobertaTokenizer).
const golden = join(import.meta.dirname, '../../golden/bpe');
const bpe = BytePairs.load(golden);
const rows = JSON.parse(readFileSync(join(golden, 'ids.json'), 'utf8')) as { text: string; ids: number[] }[];
const phrases = readFileSync(join(import.meta.dirname, '../../../runs/first-voice/phrases.txt'), 'utf8').split('\n');

const directory = mkdtempSync(join(tmpdir(), 'bpe-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('byte-level BPE', () => {
  it('gives RobertaTokenizer’s ids', () => {
    expect(rows.length).toBeGreaterThan(150);
    for (const { text, ids } of rows) expect(bpe.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it('is <s></s> for an empty text, at once and in parts', () => {
    expect(bpe.encode('')).toEqual([0, 2]);
    expect(bpe.createStream().end()).toEqual([0, 2]);
  });

  it('gives the same ids however a text is cut, over thousands of random texts and cuts', () => {
    const parts =
      "'|r|e|ll|s| |  |\n|\t|a|Word|é|e\u0301|你好|😀|\ud83d|\ude00|1|23|!|...|<s>|</s>|<pad>|<|<pa|<mask>|\u00a0|\u0085|\ufeff|-|x'|don't".split(
        '|',
      );
    const random = randomNumbers(11);
    for (let trial = 0; trial < 4000; trial++) {
      const text = randomText(parts, random, 14);
      const stream = bpe.createStream();
      const ids = [...cutRandomly(text, random).flatMap((part) => stream.push(part)), ...stream.end()];
      expect(ids, JSON.stringify(text)).toEqual(bpe.encode(text));
    }
  });

  it('lets a word go when the next one begins', () => {
    const stream = bpe.createStream();
    expect(stream.push('hello')).toEqual([0]);
    expect(stream.push(' ')).toEqual(bpe.encode('hello').slice(1, -1));
  });

  it('does not keep a text without boundaries whole', () => {
    const stream = bpe.createStream();
    let before = 0;
    for (let part = 0; part < 100; part++) before += stream.push('ab'.repeat(500)).length;
    expect(before).toBeGreaterThan(stream.end().length * 10);
  });

  it('reads <mask> as text when the vocabulary has none, and takes the space before it when it has', () => {
    expect(bpe.encode('a <mask> b')).toEqual([0, ...bpe.encode('a <').slice(1, -1), ...bpe.encode('mask> b').slice(1)]);
    const vocabulary = JSON.parse(readFileSync(join(golden, 'vocab.json'), 'utf8')) as Record<string, number>;
    const mask = Object.keys(vocabulary).length;
    const masked = new BytePairs({ ...vocabulary, '<mask>': mask }, []);
    expect(masked.encode('a <mask> b')).toEqual([0, vocabulary['a'], mask, vocabulary['Ġ'], vocabulary['b'], 2]);
  });

  it('refuses files that do not fit, and says which', () => {
    const at = (name: string, vocabulary: string, merges: string): string => {
      const path = join(directory, name);
      cpSync(golden, path, { recursive: true });
      if (vocabulary !== '') writeFileSync(join(path, 'vocab.json'), vocabulary);
      if (merges !== '') writeFileSync(join(path, 'merges.txt'), merges);
      return path;
    };
    expect(() => BytePairs.load(join(directory, 'none'))).toThrow(
      /cannot read .*vocab\.json.*expected vocab\.json and merges\.txt/,
    );
    expect(() => BytePairs.load(at('a', '{', ''))).toThrow(/vocab\.json: expected JSON/);
    expect(() => BytePairs.load(at('b', '{"<s>":0,"<pad>":1,"</s>":2,"<unk>":4}', ''))).toThrow(
      /expected the ids 0 to 3, each once; 3 is missing/,
    );
    expect(() => BytePairs.load(at('c', '{"<s>":0,"</s>":1,"<pad>":2,"<unk>":3}', ''))).toThrow(
      /expected <pad> to have id 1, got 2/,
    );
    expect(() => BytePairs.load(at('d', '', '#version: 0.2\nĠ t\noops\n'))).toThrow(
      /merges\.txt:3: expected two tokens/,
    );
  });
});

describe('training a vocabulary', () => {
  const trained = trainBpe(phrases.slice(0, 600), { vocabSize: 700 });

  it('learns the tokenizers library’s merges', () => {
    const merges = readFileSync(join(golden, 'merges.txt'), 'utf8').trim().split('\n').slice(1);
    expect(trained.merges.map((pair) => pair.join(' '))).toEqual(merges);
    expect(trained.vocabulary).toEqual(JSON.parse(readFileSync(join(golden, 'vocab.json'), 'utf8')));
  });

  it('writes files that load and read text back to the same ids', () => {
    saveBpe(join(directory, 'own'), trained);
    const own = createFrontEnd({ kind: 'bpe', directory: join(directory, 'own') });
    expect(own.vocabSize).toBe(700);
    expect(own.encode('We now come to the point.')).toEqual(bpe.encode('We now come to the point.'));
  });

  it('stops when no pair is frequent enough', () => {
    const few = trainBpe(['aa aa', 'b'], { vocabSize: 1000 });
    expect(few.merges).toEqual([['a', 'a']]);
  });

  it('refuses a vocabulary without room for the bytes', () => {
    expect(() => trainBpe(['a'], { vocabSize: 100 })).toThrow(/expected a vocabSize of at least 260/);
  });
});

describe('choosing a front end', () => {
  it('goes by the kind that the config names', () => {
    expect(createFrontEnd({ kind: 'phonemes-en' })).toBeInstanceOf(EnglishPhonemes);
    expect(createFrontEnd({ kind: 'bpe', directory: golden })).toBeInstanceOf(BytePairs);
  });
});
