/**
 * Sizes of the mel codec. Letters: T latent frames, D latent channels, F spectrum frames, M mel bins, N samples.
 *
 * A latent frame is a fixed linear map of `stackedFrames` log-mel frames, so it covers
 * `spectrumHopLength * stackedFrames` samples.
 */
export interface MelCodecConfig {
  readonly codecType: 'mel';
  readonly sampleRate: number;
  /** Window of the analysis and of the decoder's inverse transform, in samples; a power of two. */
  readonly fftSize: number;
  /** Samples between two spectrum frames. */
  readonly spectrumHopLength: number;
  readonly melBins: number;
  /** Upper edge of the last mel filter, in Hz. */
  readonly maxFrequency: number;
  /** Added to a mel value before its logarithm; digital silence becomes log(spectrumFloor). */
  readonly spectrumFloor: number;
  /** Log-mel frames stacked into one latent frame. */
  readonly stackedFrames: number;
  readonly latentDim: number;
  readonly decoderWidth: number;
  readonly decoderBlocks: number;
  /** Spectrum frames a block's causal convolution sees, its own included. */
  readonly decoderKernel: number;
  /** Width of a block's inner layer, in multiples of `decoderWidth`. */
  readonly decoderExpansion: number;
  /** Latent frames the first convolution sees, its own and the looked-ahead ones included. */
  readonly decoderInputKernel: number;
  /** Latent frames the decoder waits for. */
  readonly decoderLookahead: number;
  /**
   * What the decoder's output shapes: `pitch` filters pulses at a pitch of its own and noise, `none` states every
   * bin's phase. Codecs written before there was a choice lack the key and have none.
   */
  readonly decoderSource: 'none' | 'pitch';
}

/** The sizes of the shipped voice's codec: 25 latent frames of 96 channels a second. */
export const DEFAULT_MEL_CODEC_CONFIG: MelCodecConfig = {
  codecType: 'mel',
  sampleRate: 24_000,
  fftSize: 1024,
  spectrumHopLength: 240,
  melBins: 100,
  maxFrequency: 12_000,
  spectrumFloor: 1e-4,
  stackedFrames: 4,
  latentDim: 96,
  decoderWidth: 320,
  decoderBlocks: 6,
  decoderKernel: 7,
  decoderExpansion: 3,
  decoderInputKernel: 3,
  decoderLookahead: 1,
  decoderSource: 'pitch',
};

/** Numbers that the decoder's last layer gives for a spectrum frame. */
export function headSizeOf({ fftSize, decoderSource }: MelCodecConfig): number {
  const bins = fftSize / 2 + 1;
  // none: log-magnitude and phase of every bin; pitch: the same of the pulses' filter, the noise filter, and the pitch.
  return decoderSource === 'none' ? 2 * bins : 3 * bins + 1;
}

/** No size of a sane codec exceeds this; a larger one is a broken or hostile file. */
const LARGEST_SIZE = 1 << 20;
const NAME_KEYS: readonly string[] = ['codecType', 'decoderSource'];
const REAL_KEYS: readonly string[] = ['maxFrequency', 'spectrumFloor'];

/** Samples a latent frame covers. */
export function hopLengthOf(config: MelCodecConfig): number {
  return config.spectrumHopLength * config.stackedFrames;
}

/** Length of the stacked log-mel vector that the linear map reads. */
export function stackedDimOf(config: MelCodecConfig): number {
  return config.melBins * config.stackedFrames;
}

/**
 * Checks a parsed `codec/config.json`.
 *
 * @throws {TypeError} on a missing, unknown or mistyped key. @throws {RangeError} on sizes that do not fit together.
 */
export function parseMelCodecConfig(value: unknown): MelCodecConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`mel codec config: expected an object, got ${JSON.stringify(value)}`);
  }
  const given: Record<string, unknown> = { decoderSource: 'none', ...value };
  const keys = Object.keys(DEFAULT_MEL_CODEC_CONFIG);
  const unknown = Object.keys(given).filter((key) => !keys.includes(key));
  const missing = keys.filter((key) => !(key in given));
  if (unknown.length > 0 || missing.length > 0) {
    throw new TypeError(`mel codec config: missing [${missing.join(', ')}], unknown [${unknown.join(', ')}]`);
  }
  if (given.codecType !== 'mel') {
    throw new TypeError(`mel codec config: expected codecType 'mel', got ${JSON.stringify(given.codecType)}`);
  }
  if (given.decoderSource !== 'none' && given.decoderSource !== 'pitch') {
    throw new TypeError(
      `mel codec config: expected decoderSource 'none' or 'pitch', got ${JSON.stringify(given.decoderSource)}`,
    );
  }
  for (const key of keys.filter((name) => !NAME_KEYS.includes(name))) checkNumber(key, given[key]);
  const config = given as unknown as MelCodecConfig;
  checkRelations(config);
  return config;
}

function checkNumber(key: string, value: unknown): void {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new TypeError(`mel codec config: ${key} must be a number, got ${JSON.stringify(value)}`);
  }
  const smallest = key === 'decoderLookahead' ? 0 : 1;
  const fits = REAL_KEYS.includes(key) ? value > 0 : Number.isInteger(value) && value >= smallest;
  if (!fits || value > LARGEST_SIZE) {
    throw new RangeError(`mel codec config: ${key} must lie in ${smallest}..${LARGEST_SIZE}, got ${value}`);
  }
}

function checkRelations(config: MelCodecConfig): void {
  const { fftSize, spectrumHopLength, maxFrequency, sampleRate, decoderLookahead, decoderInputKernel } = config;
  const broken: [boolean, string][] = [
    [fftSize < 4 || (fftSize & (fftSize - 1)) !== 0, `fftSize must be a power of two of at least 4, got ${fftSize}`],
    [
      spectrumHopLength * 2 > fftSize,
      `spectrumHopLength must be at most fftSize / 2 so that windows overlap, got ${spectrumHopLength}`,
    ],
    [config.decoderKernel < 2, `decoderKernel must be at least 2, got ${config.decoderKernel}`],
    [maxFrequency > sampleRate / 2, `maxFrequency must be at most sampleRate / 2, got ${maxFrequency}`],
    [
      config.latentDim > stackedDimOf(config),
      `latentDim must be at most ${stackedDimOf(config)}, got ${config.latentDim}`,
    ],
    [
      decoderLookahead >= decoderInputKernel,
      `decoderLookahead must be less than decoderInputKernel, got ${decoderLookahead}`,
    ],
  ];
  const first = broken.find(([isBroken]) => isBroken);
  if (first) throw new RangeError(`mel codec config: ${first[1]}`);
}
