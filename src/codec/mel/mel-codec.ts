import type { Codec, LatentDecoder } from '../codec.js';
import { MelAnalysis } from './analysis.js';
import { hopLengthOf } from './config.js';
import { readMelCodecFiles, type LatentStatistics, type MelCodecFiles } from './files.js';

/**
 * The shipped voice's codec: latents are a fixed linear map of stacked log-mel frames, sound comes back through a
 * small causal network and an inverse Fourier transform.
 */
export class MelCodec implements Codec {
  readonly sampleRate: number;
  readonly hopLength: number;
  readonly latentDim: number;
  readonly statistics: LatentStatistics;
  private readonly analysis: MelAnalysis;

  constructor(readonly files: MelCodecFiles) {
    this.sampleRate = files.config.sampleRate;
    this.hopLength = hopLengthOf(files.config);
    this.latentDim = files.config.latentDim;
    this.statistics = files.statistics;
    this.analysis = new MelAnalysis(files.config, files.map);
  }

  /** Opens a directory with `config.json` and `model.safetensors`. @throws {CheckpointError} */
  static open(directory: string): MelCodec {
    return new MelCodec(readMelCodecFiles(directory));
  }

  async encode(samples: Float32Array): Promise<Float32Array> {
    return this.analysis.encode(samples);
  }

  createDecoder(): LatentDecoder {
    throw new Error('MelCodec: no decoder yet');
  }

  free(): void {}
}
