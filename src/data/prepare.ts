import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { resample } from '../audio/resample.js';
import { hasCodebooks, type Codec } from '../codec/codec.js';
import { fromFloat32, writeSafetensors, writeWhole } from '../model/safetensors.js';
import type { TextFrontEnd } from '../text/front-end.js';
import { ManifestError, readManifest, type ManifestOptions, type Utterance } from './manifest.js';
import { readCuts } from './recording.js';
import { CODEBOOKS_FILE, writeShard, type ShardInfo, type ShardRow } from './shards.js';

export interface PrepareOptions extends ManifestOptions {
  /** JSONL manifests; each becomes shards named after it. */
  manifests: readonly string[];
  /** Folder of the shards. */
  out: string;
  codec: Codec;
  frontEnd: TextFrontEnd;
  /** Name of the front end, kept in the shards. */
  frontEndName: string;
  /** Token id of a phoneme, where the manifest's own phonemes are to be used; alignments need it. */
  phonemeId?: (phoneme: string) => number | undefined;
  /** Utterances a shard, or a few more: a recording is not divided. */
  shardSize?: number;
  /** Longest utterance kept, seconds. */
  maxSeconds?: number;
  /** Utterances whose tokens (specials included) and whole frames reach this are left out, as in the released code. */
  maxPositions?: number;
  /** Leaves out utterances whose recording is not there, as the released code does, in place of an error. */
  skipMissing?: boolean;
  /** This process's share of the shards: those whose number modulo `ranks` is `rank`. */
  rank?: number;
  ranks?: number;
  signal?: AbortSignal;
  onProgress?: (totals: PrepareTotals) => void;
}

/** What is done so far. */
export interface PrepareTotals {
  /** Utterances read, those of other ranks and of shards that were there included. */
  read: number;
  /** Utterances encoded by this process. */
  encoded: number;
  /** Hours of speech encoded by this process. */
  hours: number;
  /** Utterances left out by this process. */
  skipped: number;
  shards: number;
}

interface PlannedShard {
  name: string;
  utterances: Utterance[];
}

/** A recording with very many cuts is divided after all. */
const MAX_OVERSIZE = 2;

/** Settings that all shards of a folder share; a second run with other ones is refused. */
const SETTINGS_FILE = 'prepare.json';

/**
 * Manifests to shards: each recording decoded once and front to back, its utterances encoded to codes or latents, their
 * texts to tokens. Shards that exist are kept, so a killed run goes on where it was.
 * @throws {ManifestError} for a line that cannot be used. @throws {AudioError}
 */
export async function prepare(options: PrepareOptions): Promise<PrepareTotals> {
  const { manifests, out, rank = 0, ranks = 1, signal } = options;
  mkdirSync(out, { recursive: true });
  checkNames(manifests);
  checkSettings(options);
  if (rank === 0) writeCodebooks(options);
  const existing = new Set(readdirSync(out));
  const totals: PrepareTotals = { read: 0, encoded: 0, hours: 0, skipped: 0, shards: 0 };
  let number = 0;
  for (const manifest of manifests)
    for await (const { name, utterances } of planShards(manifest, options)) {
      const isOurs = number++ % ranks === rank;
      if (isOurs && !existing.has(name)) {
        const rows = await encodeShard(utterances, totals, options);
        signal?.throwIfAborted();
        writeShard(join(out, name), rows, infoOf(options));
        totals.shards++;
      }
      totals.read += utterances.length;
      options.onProgress?.(totals);
    }
  return totals;
}

const nameOf = (manifest: string) => basename(manifest).replace(/\.jsonl(\.gz)?$/, '');

function checkNames(manifests: readonly string[]): void {
  const names = manifests.map(nameOf);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ManifestError(`two manifests are named ${twice}, and shards are named after them; rename one`);
}

function infoOf({ codec, frontEndName }: PrepareOptions): ShardInfo {
  const { latentDim, hopLength, sampleRate } = codec;
  const info = { latentDim, hopLength, sampleRate, frontEnd: frontEndName };
  return hasCodebooks(codec) ? { ...info, codebooks: codec.codebookVectors.length } : info;
}

function checkSettings(options: PrepareOptions): void {
  const { out, shardSize, maxSeconds, maxPositions, textIndex, rank = 0 } = options;
  const path = join(out, SETTINGS_FILE);
  const settings = JSON.stringify({ ...infoOf(options), shardSize, maxSeconds, maxPositions, textIndex });
  if (existsSync(path)) {
    const found = readFileSync(path, 'utf8').trim();
    if (found !== settings)
      throw new ManifestError(`${out}: prepared with ${found}, asked for ${settings}; give another --out`);
  } else if (rank === 0) writeWhole(path, [Buffer.from(`${settings}\n`)]);
}

/** [K, V, D]: what turns the shards' codes into latents. */
function writeCodebooks({ codec, out }: PrepareOptions): void {
  if (!hasCodebooks(codec)) return;
  const tables = codec.codebookVectors;
  const [K, V] = [tables.length, tables[0].length / codec.latentDim];
  const all = new Float32Array(K * V * codec.latentDim);
  tables.forEach((table, k) => all.set(table, k * table.length));
  writeSafetensors(join(out, CODEBOOKS_FILE), new Map([['codebooks', fromFloat32(all, [K, V, codec.latentDim])]]));
}

/** Cuts a manifest into shards, at the end of a recording where it can be. */
async function* planShards(manifest: string, options: PrepareOptions): AsyncGenerator<PlannedShard> {
  const { shardSize = 4000 } = options;
  let [utterances, index] = [[] as Utterance[], 0];
  const shard = () => ({ name: `${nameOf(manifest)}-${String(index++).padStart(5, '0')}.arrow`, utterances });
  for await (const utterance of readManifest(manifest, options)) {
    const isSameRecording = utterances.at(-1)?.path === utterance.path;
    if (utterances.length >= (isSameRecording ? MAX_OVERSIZE : 1) * shardSize) {
      yield shard();
      utterances = [];
    }
    utterances.push(utterance);
  }
  if (utterances.length > 0) yield shard();
}

/** The rows in the manifest's order; each recording is decoded once, whatever the order of its cuts. */
async function encodeShard(utterances: Utterance[], totals: PrepareTotals, options: PrepareOptions) {
  const rows = new Map<Utterance, ShardRow>();
  const recordings = new Map<string, Utterance[]>();
  for (const utterance of utterances)
    recordings.set(utterance.path, [...(recordings.get(utterance.path) ?? []), utterance]);
  for (const [path, cuts] of recordings) {
    const wanted = options.skipMissing && !existsSync(path) ? [] : cuts.filter((cut) => isShort(cut, options));
    totals.skipped += cuts.length - wanted.length;
    if (wanted.length === 0) continue;
    for await (const { cut, samples, sampleRate } of readCuts(path, wanted)) {
      options.signal?.throwIfAborted();
      rows.set(cut, await encodeUtterance(cut, await resample(samples, sampleRate, options.codec.sampleRate), options));
      totals.encoded++;
      totals.hours += cut.durationSeconds / 3600;
      options.onProgress?.(totals);
    }
  }
  return utterances.flatMap((utterance) => rows.get(utterance) ?? []);
}

/** The released rule: tokens, specials included, and int(frames a second * seconds) stay below the positions. */
function isShort(utterance: Utterance, options: PrepareOptions): boolean {
  const { maxSeconds = 30, maxPositions = 2048, codec } = options;
  const frames = Math.trunc((utterance.durationSeconds * codec.sampleRate) / codec.hopLength);
  if (utterance.durationSeconds > maxSeconds || frames >= maxPositions) return false;
  return tokensOf(utterance, options).tokens.length + frames < maxPositions;
}

async function encodeUtterance(
  utterance: Utterance,
  samples: Float32Array,
  options: PrepareOptions,
): Promise<ShardRow> {
  const { codec } = options;
  const row = { id: utterance.id, text: utterance.text, ...tokensOf(utterance, options) };
  if (!hasCodebooks(codec)) return { ...row, latents: await codec.encode(samples) };
  return { ...row, codes: transposed(await codec.encodeToCodes(samples), codec.codebookVectors.length) };
}

/** [K, T] -> [T, K] */
function transposed(codes: Int32Array, K: number): Uint16Array {
  const T = codes.length / K;
  return Uint16Array.from(codes, (_, i) => codes[(i % K) * T + Math.floor(i / K)]);
}

/** The manifest's phonemes where it has them (they are what was spoken), else the front end's tokens. */
function tokensOf({ id, text, alignment }: Utterance, { frontEnd, phonemeId }: PrepareOptions) {
  const tokens = frontEnd.encode(text);
  if (!alignment || !phonemeId) return { tokens, ends: null };
  const spoken = alignment.phonemes.map((phoneme) => {
    const token = phonemeId(phoneme);
    if (token === undefined) throw new ManifestError(`${id}: the front end has no phoneme ${JSON.stringify(phoneme)}`);
    return token;
  });
  return { tokens: [tokens[0], ...spoken, tokens[tokens.length - 1]], ends: alignment.ends };
}
