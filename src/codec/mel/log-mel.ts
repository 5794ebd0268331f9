import FFT from 'fft.js';
import type { MelCodecConfig } from './config.js';

/** One triangular filter: its weights over consecutive spectrum bins, which sum to one. */
export interface MelFilter {
  readonly firstBin: number;
  readonly weights: Float64Array;
}

type FilterBankSizes = Pick<MelCodecConfig, 'sampleRate' | 'fftSize' | 'melBins' | 'maxFrequency'>;

const toMel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
const toHertz = (mel: number): number => 700 * (10 ** (mel / 2595) - 1);

/** Triangles evenly spaced on the mel scale from 0 Hz to `maxFrequency`, each normalised to sum one. */
export function melFilterBank({ sampleRate, fftSize, melBins, maxFrequency }: FilterBankSizes): MelFilter[] {
  const corners = Array.from({ length: melBins + 2 }, (_, i) => toHertz((toMel(maxFrequency) * i) / (melBins + 1)));
  const frequencies = Array.from({ length: fftSize / 2 + 1 }, (_, bin) => (bin * sampleRate) / fftSize);
  return Array.from({ length: melBins }, (_, m) => {
    const [low, centre, high] = [corners[m], corners[m + 1], corners[m + 2]];
    const triangle = frequencies.map((f) =>
      Math.max(0, Math.min((f - low) / (centre - low), (high - f) / (high - centre))),
    );
    const sum = Math.max(
      triangle.reduce((a, b) => a + b, 0),
      1e-6,
    );
    const firstBin = Math.max(
      triangle.findIndex((w) => w > 0),
      0,
    );
    const lastBin = triangle.findLastIndex((w) => w > 0);
    return { firstBin, weights: Float64Array.from(triangle.slice(firstBin, lastBin + 1), (w) => w / sum) };
  });
}

/** The periodic Hann window, [size]. */
export function hannWindow(size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size));
}

/**
 * Log-mel frames: log(mel(|STFT| / ||window||) + floor), frame f centred on sample f * hop, the signal
 * mirrored at its ends (torch.stft with center=True, reflect).
 */
export class LogMel {
  private readonly fft: FFT;
  private readonly window: Float64Array;
  private readonly filters: MelFilter[];
  private readonly input: Float64Array;
  private readonly spectrum: number[];
  private readonly magnitudes: Float64Array;

  constructor(readonly config: MelCodecConfig) {
    const window = hannWindow(config.fftSize);
    const norm = Math.sqrt(window.reduce((sum, w) => sum + w * w, 0));
    this.fft = new FFT(config.fftSize);
    this.window = window.map((w) => w / norm);
    this.filters = melFilterBank(config);
    this.input = new Float64Array(config.fftSize);
    // A plain array: fft.js runs twice as fast on it as on a typed one.
    this.spectrum = this.fft.createComplexArray() as number[];
    this.magnitudes = new Float64Array(config.fftSize / 2 + 1);
  }

  /** Writes the log-mel values of frame `frame` of `samples` [N] to `out` [M]. */
  frame(samples: Float32Array, frame: number, out: Float64Array): void {
    this.readWindow(samples, frame * this.config.spectrumHopLength - this.config.fftSize / 2);
    this.fft.realTransform(this.spectrum, this.input);
    const { spectrum, magnitudes, filters } = this;
    for (let bin = 0; bin < magnitudes.length; bin++) {
      const re = spectrum[2 * bin];
      const im = spectrum[2 * bin + 1];
      magnitudes[bin] = Math.sqrt(re * re + im * im);
    }
    for (let m = 0; m < filters.length; m++) {
      const { firstBin, weights } = filters[m];
      let mel = this.config.spectrumFloor;
      for (let i = 0; i < weights.length; i++) mel += weights[i] * magnitudes[firstBin + i];
      out[m] = Math.log(mel);
    }
  }

  private readWindow(samples: Float32Array, start: number): void {
    const { input, window } = this;
    if (start >= 0 && start + input.length <= samples.length) {
      for (let n = 0; n < input.length; n++) input[n] = samples[start + n] * window[n];
    } else {
      for (let n = 0; n < input.length; n++) input[n] = samples[mirror(start + n, samples.length)] * window[n];
    }
  }
}

/** The index inside [0, length) that `index` is mirrored to, without repeating the ends. */
function mirror(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const folded = ((index % period) + period) % period;
  return folded < length ? folded : period - folded;
}
