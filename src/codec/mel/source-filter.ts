import FFT from 'fft.js';
import type { MelCodecConfig } from './config.js';
import { hannWindow } from './log-mel.js';
import { Source } from './source.js';

/** Streams begin with the same noise, so that the same latents are the same samples. */
const NOISE_SEED = 1;

/**
 * One stream of filters to windowed frames: spectrum = pulses * harmonic filter + noise * noise filter.
 *
 * A frame of `filters` is [real parts, imaginary parts of the harmonic filter, noise filter, octaves]: 3 * bins + 1.
 */
export class SourceFilter {
  private readonly source: Source;
  private readonly fft: FFT;
  private readonly window: Float64Array;
  /** The samples under the window that begins at the last frame. */
  private readonly pulses: Float64Array;
  private readonly noise: Float64Array;
  /** Samples of `pulses` and `noise` that are made. */
  private filled = 0;
  private readonly input: Float64Array;
  private readonly pulseSpectrum: number[];
  private readonly noiseSpectrum: number[];
  private readonly spectrum: number[];
  private readonly output: number[];

  constructor(private readonly config: MelCodecConfig) {
    const { fftSize } = config;
    this.source = new Source(config, NOISE_SEED);
    this.fft = new FFT(fftSize);
    this.window = hannWindow(fftSize);
    const capacity = Math.max(fftSize + config.spectrumHopLength, this.source.pulses.length);
    this.pulses = new Float64Array(capacity);
    this.noise = new Float64Array(capacity);
    this.input = new Float64Array(fftSize);
    // Plain arrays: fft.js runs twice as fast on them as on typed ones.
    this.pulseSpectrum = this.fft.createComplexArray() as number[];
    this.noiseSpectrum = this.fft.createComplexArray() as number[];
    this.spectrum = this.fft.createComplexArray() as number[];
    this.output = this.fft.createComplexArray() as number[];
  }

  /** Filters [F, 3 * bins + 1] -> windowed frames [F, fftSize]. */
  frames(filters: Float32Array): Float32Array {
    const { fftSize } = this.config;
    const width = 3 * (fftSize / 2 + 1) + 1;
    const count = filters.length / width;
    const frames = new Float32Array(count * fftSize);
    for (let f = 0; f < count; f++) {
      const row = filters.subarray(f * width, (f + 1) * width);
      this.advance(row[width - 1]);
      this.transform(this.pulses, this.pulseSpectrum);
      this.transform(this.noise, this.noiseSpectrum);
      this.filter(row, frames.subarray(f * fftSize, (f + 1) * fftSize));
    }
    return frames;
  }

  /** Moves the window to the next frame. */
  private advance(octaves: number): void {
    const { spectrumHopLength: hop } = this.config;
    if (this.filled > 0) {
      for (const samples of [this.pulses, this.noise]) samples.copyWithin(0, hop, this.filled);
      this.filled -= hop;
    }
    const length = this.source.extend(octaves);
    this.pulses.set(this.source.pulses.subarray(0, length), this.filled);
    this.noise.set(this.source.noise.subarray(0, length), this.filled);
    this.filled += length;
  }

  private transform(samples: Float64Array, spectrum: number[]): void {
    const { input, window } = this;
    for (let n = 0; n < input.length; n++) input[n] = samples[n] * window[n];
    this.fft.realTransform(spectrum, input);
  }

  private filter(row: Float32Array, frame: Float32Array): void {
    const { pulseSpectrum: pulses, noiseSpectrum: noise, spectrum, output, window, fft } = this;
    const bins = window.length / 2 + 1;
    for (let k = 0; k < bins; k++) {
      const [re, im, hiss] = [row[k], row[bins + k], row[2 * bins + k]];
      spectrum[2 * k] = pulses[2 * k] * re - pulses[2 * k + 1] * im + noise[2 * k] * hiss;
      spectrum[2 * k + 1] = pulses[2 * k] * im + pulses[2 * k + 1] * re + noise[2 * k + 1] * hiss;
    }
    // The transform of a real signal has real first and last coefficients; imaginary parts there are ignored.
    spectrum[1] = spectrum[2 * bins - 1] = 0;
    fft.completeSpectrum(spectrum);
    fft.inverseTransform(output, spectrum);
    for (let n = 0; n < frame.length; n++) frame[n] = output[2 * n] * window[n];
  }
}
