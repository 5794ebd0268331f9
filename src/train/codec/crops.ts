import { latentFrames, type MelAnalysis } from '../../codec/mel/analysis.js';
import { hopLengthOf } from '../../codec/mel/config.js';
import type { SpeechCorpus, Utterance } from './corpus.js';

/** Latents [B, before + T + after, D] and the samples of the T inner frames [B, T * hopLength]. */
export interface CropBatch {
  readonly latents: Float32Array;
  readonly samples: Float32Array;
}

export interface CropOptions {
  readonly batchSize: number;
  /** T */
  readonly cropFrames: number;
  /** Latent frames around a crop that the decoder reads; zeros beyond an utterance's ends. */
  readonly context: { readonly before: number; readonly after: number };
  readonly seed: number;
}

/** Draws crops of random utterances; `state` is its whole memory. */
export class CropSampler {
  private random: number;
  private readonly long: readonly Utterance[];

  /** @throws {RangeError} when no utterance is as long as a crop. */
  constructor(
    private readonly corpus: SpeechCorpus,
    private readonly analysis: MelAnalysis,
    utterances: readonly Utterance[],
    private readonly options: CropOptions,
  ) {
    this.random = options.seed >>> 0;
    this.long = utterances.filter(({ numSamples }) => latentFrames(analysis.config, numSamples) >= options.cropFrames);
    if (this.long.length === 0) {
      throw new RangeError(
        `CropSampler: none of ${utterances.length} utterances has ${options.cropFrames} latent frames`,
      );
    }
  }

  get state(): number {
    return this.random;
  }

  set state(value: number) {
    this.random = value >>> 0;
  }

  next(): CropBatch {
    const { batchSize, cropFrames, context } = this.options;
    const { config } = this.analysis;
    const rowLatents = (context.before + cropFrames + context.after) * config.latentDim;
    const rowSamples = cropFrames * hopLengthOf(config);
    const latents = new Float32Array(batchSize * rowLatents);
    const samples = new Float32Array(batchSize * rowSamples);
    for (let b = 0; b < batchSize; b++) {
      const utterance = this.long[Math.floor(this.uniform() * this.long.length)];
      const total = latentFrames(config, utterance.numSamples);
      const start = Math.floor(this.uniform() * (total - cropFrames + 1));
      const whole = this.corpus.read(utterance, 0, total * hopLengthOf(config));
      samples.set(
        whole.subarray(start * hopLengthOf(config), start * hopLengthOf(config) + rowSamples),
        b * rowSamples,
      );
      const first = Math.max(0, start - context.before);
      const last = Math.min(total, start + cropFrames + context.after);
      const skipped = first - (start - context.before);
      const around = this.analysis.encodeRange(whole, first, last - first);
      latents.set(around, b * rowLatents + skipped * config.latentDim);
    }
    return { latents, samples };
  }

  /** Mulberry32: 32 bits of state, enough to draw crops. */
  private uniform(): number {
    this.random = (this.random + 0x6d2b79f5) >>> 0;
    let t = this.random;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

/** Every 200th utterance by a hash of its id (FNV-1a), so that the choice survives added data. */
export function isHeldOut({ id }: Utterance): boolean {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193) >>> 0;
  return hash % 200 === 0;
}
