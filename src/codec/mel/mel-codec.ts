import { CheckpointError } from '../../model/errors.js';
import type { Codec, LatentDecoder } from '../codec.js';
import { MelAnalysis } from './analysis.js';
import { hopLengthOf } from './config.js';
import { DecoderEngine, type DecoderEngineOptions } from './decoder-engine.js';
import { readMelCodecFiles, type LatentStatistics, type MelCodecFiles } from './files.js';
import { MelDecoder } from './mel-decoder.js';

export type MelCodecOptions = DecoderEngineOptions;

/**
 * The shipped voice's codec: latents are a fixed linear map of stacked log-mel frames, sound comes back through a
 * small causal network and an inverse Fourier transform. ggml is loaded at the first decoder.
 */
export class MelCodec implements Codec {
  readonly sampleRate: number;
  readonly hopLength: number;
  readonly latentDim: number;
  readonly statistics: LatentStatistics;
  private readonly analysis: MelAnalysis;
  private engine: DecoderEngine | undefined;

  constructor(
    private readonly files: MelCodecFiles,
    private readonly options: MelCodecOptions = {},
  ) {
    this.sampleRate = files.config.sampleRate;
    this.hopLength = hopLengthOf(files.config);
    this.latentDim = files.config.latentDim;
    this.statistics = files.statistics;
    this.analysis = new MelAnalysis(files.config, files.map);
  }

  /** Opens a directory with `config.json` and `model.safetensors`. @throws {CheckpointError} */
  static open(directory: string, options: MelCodecOptions = {}): MelCodec {
    return new MelCodec(readMelCodecFiles(directory), options);
  }

  get channelScale(): Float32Array {
    return this.statistics.std;
  }

  async encode(samples: Float32Array): Promise<Float32Array> {
    return this.analysis.encode(samples);
  }

  /** @throws {CheckpointError} when the files hold no decoder yet. */
  createDecoder(): LatentDecoder {
    this.engine ??= this.createEngine();
    return new MelDecoder(this.engine);
  }

  async free(): Promise<void> {
    const { engine } = this;
    this.engine = undefined;
    await engine?.free();
  }

  private createEngine(): DecoderEngine {
    const { config, decoder } = this.files;
    if (!decoder) {
      throw new CheckpointError(
        'MelCodec: these files hold the analysis only; train a decoder with `sled-tts codec train`',
      );
    }
    return new DecoderEngine(config, decoder, this.options);
  }
}
