import type { CausalStream } from './causal-stream.js';
import type { ResidualQuantizer } from './quantizer.js';

/** Frames that a stream of samples became. */
export interface EncodedFrames {
  /** [K, T], row-major. */
  readonly codes: Int32Array;
  /** [T, D], row-major: the sums of the codes' vectors. */
  readonly latents: Float32Array;
}

/** One stream of samples to frames: chunked frames equal whole ones at any chunking. */
export class EncodecEncoder {
  constructor(
    private readonly stream: CausalStream,
    private readonly quantizer: ResidualQuantizer,
    private readonly latentsOf: (codes: Int32Array) => Float32Array,
  ) {}

  /** Mono samples [N] -> the frames that are now certain: whole ones, from the first few on, which come together. */
  async encode(samples: Float32Array): Promise<EncodedFrames> {
    return this.quantized(await this.stream.push(samples));
  }

  /** The frames held back; in all there are ceil(samples / hopLength). */
  async flush(): Promise<EncodedFrames> {
    return this.quantized(await this.stream.flush());
  }

  free(): void {
    this.stream.free();
  }

  private async quantized(embeddings: Float32Array): Promise<EncodedFrames> {
    const codes = await this.quantizer.encode(embeddings);
    return { codes, latents: this.latentsOf(codes) };
  }
}
