/**
 * What every codec offers. Letters: T frames, D latent channels, N samples.
 *
 * A latent frame covers `hopLength` samples; the frame rate is `sampleRate / hopLength`.
 */
export interface Codec {
  readonly sampleRate: number;
  /** Samples a latent frame covers. */
  readonly hopLength: number;
  /** Channels of a latent frame (D). */
  readonly latentDim: number;
  /** [D]: how far each channel varies. No two trained codecs share it, so it tells whose latents some are. */
  readonly channelScale: Float32Array;
  /** Mono samples in [-1, 1], [N] -> latents [ceil(N / hopLength), D], row-major. */
  encode(samples: Float32Array): Promise<Float32Array>;
  /** A fresh decoder state; any number may be live at once. */
  createDecoder(): LatentDecoder;
  /** Resolves when everything is freed, after the chunks that are being computed. */
  free(): Promise<void>;
}

/** A causal decoder: chunked output equals whole output at any chunking. */
export interface LatentDecoder {
  /** Frames without which nothing sounds yet, unless it is flushed. */
  readonly startFrames: number;
  /** Latents [T, D] -> the samples that are now certain; may be fewer than T * hopLength while the decoder looks ahead. */
  decode(latents: Float32Array): Promise<Float32Array>;
  /** The samples held back; total output is then frames * hopLength. */
  flush(): Promise<Float32Array>;
  free(): void;
}

/** A codec whose latents are sums of codebook vectors. Letters: K codebooks, V vectors of each. */
export interface CodebookCodec extends Codec {
  /** K tables [V, D]. */
  readonly codebookVectors: readonly Float32Array[];
  /** Mono samples [N] -> codes [K, ceil(N / hopLength)], row-major. */
  encodeToCodes(samples: Float32Array): Promise<Int32Array>;
}

/** True for codecs that have codes, which are far smaller than latents. */
export const hasCodebooks = (codec: Codec): codec is CodebookCodec => 'codebookVectors' in codec;
