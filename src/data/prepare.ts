import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readAudio } from '../audio/read-audio.js';
import type { Codec } from '../codec/codec.js';
import type { TextFrontEnd } from '../text/front-end.js';
import { ManifestError, readManifest, type Utterance } from './manifest.js';
import { writeShard, type ShardInfo, type ShardRow } from './shards.js';

export interface PrepareOptions {
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
  /** Utterances a shard. */
  shardSize?: number;
  /** Longest utterance kept, seconds. */
  maxSeconds?: number;
  /** This process's share of the manifests: those whose index modulo `ranks` is `rank`. */
  rank?: number;
  ranks?: number;
  onProgress?: (done: { manifest: string; utterances: number; hours: number; skipped: number }) => void;
}

/**
 * Manifests to shards: each recording decoded once, its utterances encoded to latents, their texts to tokens.
 * Shards that exist are kept, so a killed run goes on where it was.
 * @throws {ManifestError} for a line that cannot be used
 */
export async function prepare(options: PrepareOptions): Promise<void> {
  const { manifests, out, rank = 0, ranks = 1 } = options;
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(out)) if (name.endsWith('.part')) rmSync(join(out, name), { force: true });
  for (const [i, manifest] of manifests.entries()) if (i % ranks === rank) await prepareManifest(manifest, options);
}

async function prepareManifest(manifest: string, options: PrepareOptions): Promise<void> {
  const { out, codec, shardSize = 4000, maxSeconds = 30, frontEndName, onProgress } = options;
  const info: ShardInfo = {
    latentDim: codec.latentDim,
    hopLength: codec.hopLength,
    sampleRate: codec.sampleRate,
    frontEnd: frontEndName,
  };
  const name = basename(manifest).replace(/\.jsonl(\.gz)?$/, '');
  const recordings = new RecordingCache(codec.sampleRate);
  const existing = new Set(readdirSync(out));
  let [rows, shard, utterances, seconds, skipped] = [[] as ShardRow[], 0, 0, 0, 0];
  const pathOf = (index: number) => `${name}-${String(index).padStart(5, '0')}.arrow`;
  const finish = () => {
    if (rows.length > 0) writeShard(join(out, pathOf(shard)), rows, info);
    onProgress?.({ manifest, utterances, hours: seconds / 3600, skipped });
    [rows, shard] = [[], shard + 1];
  };
  let kept = 0;
  for await (const utterance of readManifest(manifest)) {
    utterances++;
    if (utterance.durationSeconds > maxSeconds) {
      skipped++;
      continue;
    }
    seconds += utterance.durationSeconds;
    if (!existing.has(pathOf(shard))) rows.push(await encodeUtterance(utterance, recordings, options));
    if (++kept % shardSize === 0) finish();
  }
  if (kept % shardSize !== 0) finish();
}

async function encodeUtterance(
  utterance: Utterance,
  recordings: RecordingCache,
  options: PrepareOptions,
): Promise<ShardRow> {
  const latents = await options.codec.encode(await recordings.cut(utterance));
  return { id: utterance.id, text: utterance.text, latents, ...tokensOf(utterance, options) };
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

/** The recording decoded last: manifests list the utterances of one after another. */
class RecordingCache {
  private path = '';
  private samples: Float32Array = new Float32Array(0);

  constructor(private readonly sampleRate: number) {}

  /** The utterance's samples at the codec's rate. */
  async cut({ id, path, startSeconds, durationSeconds, cut }: Utterance): Promise<Float32Array> {
    if (path !== this.path) {
      this.samples = (await readAudio(path, { sampleRate: this.sampleRate })).samples;
      this.path = path;
    }
    const exact = cut && Math.abs(cut.numSamples / this.sampleRate - durationSeconds) < 1e-3 ? cut : null; // same rate
    const start = exact?.startSample ?? Math.trunc(startSeconds * this.sampleRate);
    const end = exact ? start + exact.numSamples : Math.trunc((startSeconds + durationSeconds) * this.sampleRate);
    if (end > this.samples.length + this.sampleRate / 10)
      throw new ManifestError(`${id}: ends at sample ${end}, but ${path} has ${this.samples.length}`);
    return this.samples.slice(start, end);
  }
}
