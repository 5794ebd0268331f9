import { ShapeError } from '../../model/errors.js';
import type { LatentDecoder } from '../codec.js';
import type { DecoderEngine } from './decoder-engine.js';
import { OverlapAdd } from './overlap-add.js';
import { SourceFilter } from './source-filter.js';

/**
 * One stream of latents to sound. It holds back `decoderLookahead` latent frames, and half a window of samples that
 * later frames still add to.
 */
export class MelDecoder implements LatentDecoder {
  readonly startFrames: number;
  /** Latents not yet decoded, after the ones that the first convolution still sees, [.., D]. */
  private pending: Float32Array;
  private history: Float32Array;
  private readonly source: SourceFilter | undefined;
  private readonly overlap: OverlapAdd;
  private last: Promise<unknown> = Promise.resolve();
  private state: 'open' | 'flushed' | 'freed' = 'open';

  constructor(private readonly engine: DecoderEngine) {
    const { latentDim, decoderInputKernel, decoderLookahead, fftSize, spectrumHopLength } = engine.config;
    this.startFrames = decoderLookahead + 1;
    this.pending = new Float32Array((decoderInputKernel - 1 - decoderLookahead) * latentDim);
    this.history = engine.emptyHistory();
    this.source = engine.config.decoderSource === 'pitch' ? new SourceFilter(engine.config) : undefined;
    this.overlap = new OverlapAdd(fftSize, spectrumHopLength);
  }

  decode(latents: Float32Array): Promise<Float32Array> {
    const { latentDim } = this.engine.config;
    if (latents.length % latentDim !== 0) {
      throw new ShapeError(`decode: expected latents [T, ${latentDim}], got ${latents.length} values`);
    }
    this.expectOpen('decode');
    const given = latents.slice();
    return this.inOrder(() => this.advance(given));
  }

  flush(): Promise<Float32Array> {
    this.expectOpen('flush');
    this.state = 'flushed';
    const { latentDim, decoderLookahead } = this.engine.config;
    return this.inOrder(async () => {
      const decoded = await this.advance(new Float32Array(decoderLookahead * latentDim));
      return joined([decoded, this.overlap.flush()]);
    });
  }

  free(): void {
    this.state = 'freed';
  }

  private expectOpen(where: string): void {
    if (this.state !== 'open') throw new Error(`${where}: this decoder was ${this.state}; create another`);
  }

  /** Calls that overlap are decoded one after another. */
  private inOrder(work: () => Promise<Float32Array>): Promise<Float32Array> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }

  private async advance(latents: Float32Array): Promise<Float32Array> {
    const { latentDim: D, decoderInputKernel } = this.engine.config;
    this.pending = joined([this.pending, latents]);
    const samples: Float32Array[] = [];
    for (;;) {
      const ready = this.pending.length / D - (decoderInputKernel - 1);
      if (ready <= 0) return joined(samples);
      const count = this.engine.chunkFor(ready);
      const chunk = this.pending.subarray(0, (decoderInputKernel - 1 + count) * D);
      const { output, history } = await this.engine.decode(chunk, this.history);
      this.history = history;
      this.pending = this.pending.slice(count * D);
      samples.push(this.overlap.add(this.source ? this.source.frames(output) : output));
    }
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0];
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
