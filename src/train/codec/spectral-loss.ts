import { hannWindow, keep, stft, tensor, viewAsReal, type Tensor } from '@sled-tts/torch';
import { melFilterBank } from '../../codec/mel/log-mel.js';

/** One resolution: window in samples and mel bins. Hops are a quarter of the window. */
export interface Resolution {
  readonly fftSize: number;
  readonly melBins: number;
}

/** Windows of 11, 21, 43 and 85 ms at 24 kHz. */
export const RESOLUTIONS: readonly Resolution[] = [
  { fftSize: 256, melBins: 32 },
  { fftSize: 512, melBins: 48 },
  { fftSize: 1024, melBins: 80 },
  { fftSize: 2048, melBins: 120 },
];

/** Keeps the gradient of the square root finite at zero (magnitude 3e-5). */
const POWER_FLOOR = 1e-9;
/** Below the noise of a recording, far above nothing: otherwise digital silence would be the whole loss. */
const LOG_FLOOR = 3e-4;
const LINEAR_WEIGHT = 2;

interface PreparedResolution {
  readonly fftSize: number;
  readonly window: Tensor;
  /** [melBins, bins], divided by the window's norm. */
  readonly filters: Tensor;
}

/** Distance of two signals: mean over resolutions of |log mel - log mel'| + 2 |mel - mel'|, finite on digital silence. */
export class SpectralLoss {
  private readonly resolutions: PreparedResolution[];

  constructor(sampleRate: number, resolutions: readonly Resolution[] = RESOLUTIONS) {
    this.resolutions = resolutions.map(({ fftSize, melBins }) => {
      const window = keep(hannWindow(fftSize));
      return { fftSize, window, filters: keep(filterMatrix(sampleRate, fftSize, melBins, window.norm().item())) };
    });
  }

  /** Two signals [B, N] -> a number; gradients flow to `output`. */
  forward(output: Tensor, target: Tensor): Tensor {
    return this.meanOf((resolution) => distance(spectra(resolution, output), spectra(resolution, target)));
  }

  /**
   * The energy score of two draws [2 * B, N], one of each row after the other, for a target [B, N]:
   * (d(a, x) + d(b, x) - d(a, b)) / 2.
   *
   * A distance alone is least for what lies in the middle of all that could have been said: hiss would become a hum,
   * pulses a blur. This is least, on average, for draws that vary as the speech does (Gritsenko et al. 2020).
   */
  energyScore(draws: Tensor, target: Tensor): Tensor {
    const half = target.shape[0];
    return this.meanOf((resolution) => {
      const drawn = spectra(resolution, draws);
      const [a, b] = [0, half].map((start) => drawn.map((part) => part.narrow(0, start, half)));
      const x = spectra(resolution, target);
      return distance(a, x).add(distance(b, x)).sub(distance(a, b)).div(2);
    });
  }

  private meanOf(loss: (resolution: PreparedResolution) => Tensor): Tensor {
    return this.resolutions
      .map(loss)
      .reduce((a, b) => a.add(b))
      .div(this.resolutions.length);
  }
}

// log(mel) and mel of [B, N], [B, melBins, F] each
function spectra(resolution: PreparedResolution, samples: Tensor): Tensor[] {
  const x = mel(resolution, samples);
  return [x.add(LOG_FLOOR).log(), x];
}

function distance([logX, x]: Tensor[], [logY, y]: Tensor[]): Tensor {
  return logX.sub(logY).abs().mean().add(x.sub(y).abs().mean(), LINEAR_WEIGHT);
}

// [B, N] -> [B, melBins, F]
function mel({ fftSize, window, filters }: PreparedResolution, samples: Tensor): Tensor {
  const power = powerOf(stft(samples, { fftSize, hopLength: fftSize / 4, window }));
  return filters.matmul(power.add(POWER_FLOOR).sqrt());
}

/** re^2 + im^2 of a complex tensor. */
export function powerOf(spectrum: Tensor): Tensor {
  const parts = viewAsReal(spectrum);
  return parts.select(-1, 0).square().add(parts.select(-1, 1).square());
}

function filterMatrix(sampleRate: number, fftSize: number, melBins: number, windowNorm: number): Tensor {
  const bins = fftSize / 2 + 1;
  const matrix = new Float32Array(melBins * bins);
  const filters = melFilterBank({ sampleRate, fftSize, melBins, maxFrequency: sampleRate / 2 });
  filters.forEach(({ firstBin, weights }, m) => {
    weights.forEach((w, i) => (matrix[m * bins + firstBin + i] = w / windowNorm));
  });
  return tensor(matrix, [melBins, bins]);
}
