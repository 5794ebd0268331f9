/** What of Hugging Face's `EncodecConfig` we compute, in our words. */
export interface EncodecConfig {
  readonly sampleRate: number;
  /** `hidden_size`: channels of a latent frame (D). */
  readonly latentDim: number;
  /** `num_filters`: channels at the sample rate; they double at each stage. */
  readonly filters: number;
  /** `upsampling_ratios`, decoder's order. */
  readonly ratios: readonly number[];
  readonly kernelSize: number;
  readonly lastKernelSize: number;
  readonly residualKernelSize: number;
  /** Residual blocks of a stage. */
  readonly residualLayers: number;
  readonly dilationGrowthRate: number;
  /** A residual block's channels over its inner ones. */
  readonly compress: number;
  /** `use_conv_shortcut`: a 1x1 convolution beside each residual block, else the identity. */
  readonly convolutionShortcut: boolean;
  readonly lstmLayers: number;
  readonly codebookSize: number;
  /** kbit/s, as offered by the checkpoint. */
  readonly targetBandwidths: readonly number[];
}

/** No sane codec exceeds these; a larger one is a broken or hostile file. */
const LIMITS = {
  sampleRate: 768_000,
  width: 1 << 14,
  kernel: 255,
  layers: 16,
  stages: 8,
  hop: 1 << 16,
  reach: 1 << 12,
};

/** Hugging Face's defaults: the 24 kHz codec. */
const DEFAULTS = {
  sampling_rate: 24_000,
  hidden_size: 128,
  num_filters: 32,
  upsampling_ratios: [8, 5, 4, 2],
  kernel_size: 7,
  last_kernel_size: 7,
  residual_kernel_size: 3,
  num_residual_layers: 1,
  dilation_growth_rate: 2,
  compress: 2,
  use_conv_shortcut: true,
  num_lstm_layers: 2,
  codebook_size: 1024,
  target_bandwidths: [1.5, 3, 6, 12, 24],
};

/** Keys with a single value that we compute; the others belong to stereo or non-causal codecs. */
const FIXED: Readonly<Record<string, unknown>> = {
  model_type: 'encodec',
  audio_channels: 1,
  normalize: false,
  norm_type: 'weight_norm',
  use_causal_conv: true,
  pad_mode: 'reflect',
  trim_right_ratio: 1,
  chunk_length_s: null,
};

const INTEGERS: readonly [keyof typeof DEFAULTS, number][] = [
  ['sampling_rate', LIMITS.sampleRate],
  ['hidden_size', LIMITS.width],
  ['num_filters', LIMITS.width],
  ['kernel_size', LIMITS.kernel],
  ['last_kernel_size', LIMITS.kernel],
  ['residual_kernel_size', LIMITS.kernel],
  ['num_residual_layers', LIMITS.layers],
  ['dilation_growth_rate', LIMITS.kernel],
  ['compress', LIMITS.width],
  ['num_lstm_layers', LIMITS.layers],
  ['codebook_size', 1 << 20],
];

/** Samples a latent frame covers. */
export const hopLengthOf = ({ ratios }: EncodecConfig): number => ratios.reduce((product, ratio) => product * ratio, 1);

/** Hugging Face's rounding: whole frames a second, up. */
const frameRateOf = (config: EncodecConfig): number => Math.ceil(config.sampleRate / hopLengthOf(config));

/** Codebooks that the checkpoint holds; Hugging Face counts 10 bits a code whatever the size. */
export const codebooksOf = (config: EncodecConfig): number =>
  Math.floor((1000 * config.targetBandwidths[config.targetBandwidths.length - 1]) / (frameRateOf(config) * 10));

/** Codebooks that a bandwidth of `kbits` kbit/s has room for, at least one. */
export function codebooksAt(config: EncodecConfig, kbits: number): number {
  const room = Math.floor((kbits * 1000) / (Math.log2(config.codebookSize) * frameRateOf(config)));
  return Math.min(codebooksOf(config), Math.max(1, room));
}

/**
 * Checks a parsed `config.json` in Hugging Face's keys; absent keys take its defaults, keys of other purposes are passed over.
 *
 * @throws {RangeError} listing everything that is mistyped or that we do not compute.
 */
export function parseEncodecConfig(value: unknown): EncodecConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RangeError(`expected an object, got ${JSON.stringify(value)}`);
  }
  const given = value as Record<string, unknown>;
  const merged = { ...DEFAULTS, ...given } as typeof DEFAULTS;
  const faults = [...fixedFaults(given), ...numberFaults(merged, given)];
  if (faults.length === 0) faults.push(...relationFaults(merged));
  if (faults.length > 0) throw new RangeError(faults.join('; '));
  return {
    sampleRate: merged.sampling_rate,
    latentDim: merged.hidden_size,
    filters: merged.num_filters,
    ratios: merged.upsampling_ratios,
    kernelSize: merged.kernel_size,
    lastKernelSize: merged.last_kernel_size,
    residualKernelSize: merged.residual_kernel_size,
    residualLayers: merged.num_residual_layers,
    dilationGrowthRate: merged.dilation_growth_rate,
    compress: merged.compress,
    convolutionShortcut: merged.use_conv_shortcut,
    lstmLayers: merged.num_lstm_layers,
    codebookSize: merged.codebook_size,
    targetBandwidths: merged.target_bandwidths,
  };
}

function fixedFaults(given: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(FIXED)
    .filter(([key, only]) => key in given && given[key] !== only)
    .map(([key, only]) => `${key} must be ${JSON.stringify(only)}, got ${JSON.stringify(given[key])}`);
}

function numberFaults(merged: typeof DEFAULTS, given: Readonly<Record<string, unknown>>): string[] {
  const faults: string[] = [];
  const expect = (ok: boolean, key: keyof typeof DEFAULTS, what: string) => {
    if (!ok) faults.push(`${key} must be ${what}, got ${JSON.stringify(merged[key])}`);
  };
  for (const [key, largest] of INTEGERS) {
    const least = key === 'num_residual_layers' ? 0 : 1;
    const number = merged[key] as number;
    expect(Number.isInteger(number) && number >= least && number <= largest, key, `an integer in ${least}..${largest}`);
  }
  const lists = { upsampling_ratios: merged.upsampling_ratios, target_bandwidths: merged.target_bandwidths };
  const isList = (list: unknown): list is number[] => Array.isArray(list) && list.length > 0 && list.length <= 32;
  const isRatio = (ratio: unknown) => Number.isInteger(ratio) && (ratio as number) >= 1;
  const isBandwidth = (kbits: unknown) => Number.isFinite(kbits) && (kbits as number) > 0;
  const { upsampling_ratios: ratios, target_bandwidths: bandwidths } = lists;
  expect(isList(ratios) && ratios.length <= LIMITS.stages && ratios.every(isRatio), 'upsampling_ratios', `up to ${LIMITS.stages} whole numbers`); // prettier-ignore
  expect(isList(bandwidths) && bandwidths.every(isBandwidth), 'target_bandwidths', 'a list of kbit/s');
  expect(typeof merged.use_conv_shortcut === 'boolean', 'use_conv_shortcut', 'true or false');
  const dimension = given.codebook_dim ?? merged.hidden_size;
  if (dimension !== merged.hidden_size) {
    faults.push(`codebook_dim must be hidden_size (${merged.hidden_size}), got ${JSON.stringify(dimension)}`);
  }
  return faults;
}

function relationFaults(config: typeof DEFAULTS): string[] {
  const { num_filters: filters, upsampling_ratios: ratios, codebook_size: size, compress } = config;
  const hop = ratios.reduce((a, b) => a * b, 1);
  const width = filters * 2 ** ratios.length;
  const dilation = config.dilation_growth_rate ** Math.max(0, config.num_residual_layers - 1);
  const reach = dilation * Math.max(1, config.residual_kernel_size - 1);
  const books = Math.floor((1000 * (config.target_bandwidths.at(-1) ?? 0)) / (Math.ceil(config.sampling_rate / hop) * 10)); // prettier-ignore
  const broken: [boolean, string][] = [
    [width > LIMITS.width, `num_filters doubled ${ratios.length} times must be at most ${LIMITS.width}, got ${width}`],
    [hop > LIMITS.hop, `the product of upsampling_ratios must be at most ${LIMITS.hop}, got ${hop}`],
    [(size & (size - 1)) !== 0 || size < 2, `codebook_size must be a power of two, got ${size}`],
    [compress > filters, `compress must be at most num_filters (${filters}), got ${compress}`],
    [reach > LIMITS.reach, `dilated residual kernels must reach at most ${LIMITS.reach} back, got ${reach}`],
    [books < 1 || books > 256, `target_bandwidths must have room for 1 to 256 codebooks, got ${books}`],
  ];
  return broken.filter(([isBroken]) => isBroken).map(([, what]) => what);
}
