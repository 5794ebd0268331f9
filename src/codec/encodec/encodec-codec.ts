import { ShapeError } from '../../model/errors.js';
import type { CodebookCodec, LatentDecoder } from '../codec.js';
import { openCodecBackend, type CodecBackend, type CodecBackendOptions } from '../open-backend.js';
import { CausalNetwork } from './causal-network.js';
import { CausalStream, joined } from './causal-stream.js';
import { codebooksAt, hopLengthOf, type EncodecConfig } from './config.js';
import { EncodecEncoder } from './encodec-encoder.js';
import { decoderLayers, encoderLayers } from './layers.js';
import type { NetworkWeightType } from './network-weights.js';
import { ResidualQuantizer, spreadOfSums, sumOfVectors } from './quantizer.js';
import { codebookName, readEncodecFiles, type EncodecFiles } from './weights.js';

export interface EncodecOptions extends CodecBackendOptions {
  /** What the decoder's matrices are held in; f32 without it. The encoder's are float32, since codes must be exact. */
  readonly weightType?: NetworkWeightType;
  /** kbit/s, one of the config's `target_bandwidths`; 6 without it (SLED's), or the highest where 6 is not offered. */
  readonly bandwidth?: number;
}

interface LoadedDecoder {
  readonly network: CausalNetwork;
  free(): Promise<void>;
}

interface LoadedEncoder extends LoadedDecoder {
  readonly quantizer: ResidualQuantizer;
}

/** SLED's latents are the sums of the codebook vectors that fit in this many kbit/s. */
const SLED_BANDWIDTH = 6;

/**
 * EnCodec in Hugging Face's layout. A frame's latent is the sum of its K codebook vectors; the decoder takes latents as they
 * are. Encoder and decoder are loaded into ggml when first used.
 */
export class EncodecCodec implements CodebookCodec {
  readonly sampleRate: number;
  readonly hopLength: number;
  readonly latentDim: number;
  /** Codebooks in use (K). */
  readonly codebooks: number;
  readonly codebookVectors: readonly Float32Array[];
  private scale: Float32Array | undefined;
  private decoder: LoadedDecoder | undefined;
  private encoder: LoadedEncoder | undefined;
  private freed = false;

  /** @throws {RangeError} for a bandwidth that the codec does not offer. */
  constructor(
    private readonly files: EncodecFiles,
    private readonly options: EncodecOptions = {},
  ) {
    const { config, weights } = files;
    this.sampleRate = config.sampleRate;
    this.hopLength = hopLengthOf(config);
    this.latentDim = config.latentDim;
    this.codebooks = codebooksAt(config, bandwidthOf(config, options.bandwidth));
    this.codebookVectors = Array.from({ length: this.codebooks }, (_, k) => weights.get(codebookName(k))!);
  }

  /** Opens a directory with `config.json` and `model.safetensors`. @throws {CheckpointError} */
  static open(directory: string, options: EncodecOptions = {}): EncodecCodec {
    return new EncodecCodec(readEncodecFiles(directory), options);
  }

  get channelScale(): Float32Array {
    this.scale ??= spreadOfSums(this.codebookVectors, this.latentDim);
    return this.scale;
  }

  async encode(samples: Float32Array): Promise<Float32Array> {
    return this.latentsOf(await this.encodeToCodes(samples));
  }

  /** Mono samples [N] -> codes [K, ceil(N / hopLength)], row-major as Hugging Face gives them. */
  async encodeToCodes(samples: Float32Array): Promise<Int32Array> {
    const { network, quantizer } = this.loadedEncoder();
    const stream = new CausalStream(network);
    const parts = [await stream.push(samples), await stream.flush()];
    return quantizer.encode(joined(parts));
  }

  /** Codes [K, T] -> latents [T, D]. @throws {ShapeError} @throws {RangeError} for a code that no codebook has. */
  latentsOf(codes: Int32Array): Float32Array {
    const { codebookSize } = this.files.config;
    if (codes.length % this.codebooks !== 0) {
      throw new ShapeError(`latentsOf: expected codes [${this.codebooks}, T], got ${codes.length} values`);
    }
    const wrong = codes.find((code) => code < 0 || code >= codebookSize);
    if (wrong !== undefined) throw new RangeError(`latentsOf: expected codes in 0..${codebookSize - 1}, got ${wrong}`);
    return sumOfVectors(this.codebookVectors, codes, this.latentDim);
  }

  /** A fresh encoder state; any number may be live at once. */
  createEncoder(): EncodecEncoder {
    const { network, quantizer } = this.loadedEncoder();
    return new EncodecEncoder(new CausalStream(network), quantizer, (codes) => this.latentsOf(codes));
  }

  createDecoder(): LatentDecoder {
    const { network } = this.loadedDecoder();
    const stream = new CausalStream(network);
    const { latentDim } = this;
    return {
      startFrames: network.startFrames,
      decode: (latents) => {
        if (latents.length % latentDim !== 0) {
          throw new ShapeError(`decode: expected latents [T, ${latentDim}], got ${latents.length} values`);
        }
        return stream.push(latents);
      },
      flush: () => stream.flush(),
      free: () => stream.free(),
    };
  }

  async free(): Promise<void> {
    this.freed = true;
    const loaded = [this.decoder, this.encoder];
    this.decoder = undefined;
    this.encoder = undefined;
    await Promise.all(loaded.map((each) => each?.free()));
  }

  private loadedDecoder(): LoadedDecoder {
    this.expectAlive();
    this.decoder ??= this.loadDecoder();
    return this.decoder;
  }

  private loadedEncoder(): LoadedEncoder {
    this.expectAlive();
    this.encoder ??= this.loadEncoder();
    return this.encoder;
  }

  private loadDecoder(): LoadedDecoder {
    const { config, weights } = this.files;
    const { weightType = 'f32' } = this.options;
    const opening = openCodecBackend(this.options);
    const shape = { layers: decoderLayers(config), channels: config.latentDim, columnsPerFrame: 1 };
    const network = new CausalNetwork(opening, { shape, weights, weightType });
    return { network, free: () => network.free().then(() => closeBackend(opening)) };
  }

  private loadEncoder(): LoadedEncoder {
    const { config, weights } = this.files;
    const opening = openCodecBackend(this.options);
    const quantizer = new ResidualQuantizer(opening, this.codebookVectors, this.latentDim);
    const shape = { layers: encoderLayers(config), channels: 1, columnsPerFrame: this.hopLength };
    const network = new CausalNetwork(opening, { shape, weights, weightType: 'f32' });
    const free = () => Promise.all([network.free(), quantizer.free()]).then(() => closeBackend(opening));
    return { network, quantizer, free };
  }

  private expectAlive(): void {
    if (this.freed) throw new Error('EncodecCodec: this codec was freed; open it again');
  }
}

/** A backend that did not open need not be freed. */
const closeBackend = (opening: Promise<CodecBackend>): Promise<void> =>
  opening.then(
    ({ backend }) => backend.freeAsync(),
    () => undefined,
  );

function bandwidthOf({ targetBandwidths }: EncodecConfig, asked: number | undefined): number {
  if (asked === undefined) return targetBandwidths.includes(SLED_BANDWIDTH) ? SLED_BANDWIDTH : Math.max(...targetBandwidths); // prettier-ignore
  if (targetBandwidths.includes(asked)) return asked;
  throw new RangeError(`EncodecCodec: expected a bandwidth of ${targetBandwidths.join(', ')} kbit/s, got ${asked}`);
}
