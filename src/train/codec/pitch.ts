/** The pitch of one spectrum frame. */
export interface PitchEstimate {
  readonly hertz: number;
  /** 1 for a perfectly periodic signal, 0 or less for noise. */
  readonly periodicity: number;
}

const LOWEST_PITCH = 65;
const HIGHEST_PITCH = 550;
/** Estimates are made at about this rate, in Hz: pitch lies far below. */
const REDUCED_RATE = 6000;
/** Seconds that are compared with themselves, shifted by a period. */
const WINDOW_SECONDS = 0.025;
/** The first dip this deep is the period; deeper ones later are its multiples. */
const DIP = 0.15;
/** Periods in noise of this power mean nothing: it is below a recording's floor. */
const SILENCE = 1e-7;

/** Pitches by YIN (de Cheveigné and Kawahara 2002), for the decoder to learn. */
export class PitchEstimator {
  private readonly factor: number;
  private readonly rate: number;
  private readonly kernel: Float64Array;
  private readonly windowLength: number;
  private readonly lags: { readonly least: number; readonly most: number };

  constructor(
    sampleRate: number,
    private readonly hop: number,
  ) {
    this.factor = Math.max(1, Math.floor(sampleRate / REDUCED_RATE));
    this.rate = sampleRate / this.factor;
    this.kernel = lowPass(this.factor);
    this.windowLength = Math.round(WINDOW_SECONDS * this.rate);
    this.lags = { least: Math.floor(this.rate / HIGHEST_PITCH), most: Math.ceil(this.rate / LOWEST_PITCH) };
  }

  /** Samples [N] -> an estimate a frame, centred on f * hop; periodicity 0 where the signal's ends are too near. */
  estimate(samples: Float32Array): PitchEstimate[] {
    const reduced = this.reduce(samples);
    const differences = new Float64Array(this.lags.most + 2);
    return Array.from({ length: Math.floor(samples.length / this.hop) }, (_, f) =>
      this.estimateAt(reduced, Math.round((f * this.hop) / this.factor), differences),
    );
  }

  private estimateAt(samples: Float64Array, centre: number, differences: Float64Array): PitchEstimate {
    const { windowLength, lags } = this;
    const none = { hertz: 0, periodicity: 0 };
    const reach = Math.ceil((windowLength + lags.most + 1) / 2);
    if (centre < reach || centre + reach >= samples.length) return none;
    const start = centre - (windowLength >> 1);
    if (power(samples.subarray(start, start + windowLength)) < SILENCE) return none;
    let sum = 0;
    for (let lag = 1; lag <= lags.most + 1; lag++) {
      // The two windows lie around the centre whatever the lag.
      const first = centre - ((windowLength + lag) >> 1);
      let difference = 0;
      for (let n = first; n < first + windowLength; n++) difference += (samples[n] - samples[n + lag]) ** 2;
      sum += difference;
      differences[lag] = (difference * lag) / sum;
    }
    const lag = this.period(differences);
    return { hertz: this.rate / refined(differences, lag), periodicity: 1 - differences[lag] };
  }

  private period(differences: Float64Array): number {
    const { least, most } = this.lags;
    let best = least;
    for (let lag = least; lag <= most; lag++) {
      const isDip = differences[lag] <= differences[lag - 1] && differences[lag] <= differences[lag + 1];
      if (isDip && differences[lag] < DIP) return lag;
      if (differences[lag] < differences[best]) best = lag;
    }
    return best;
  }

  private reduce(samples: Float32Array): Float64Array {
    const { factor, kernel } = this;
    const half = (kernel.length - 1) / 2;
    const reduced = new Float64Array(Math.floor(samples.length / factor));
    for (let i = 0; i < reduced.length; i++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k] * (samples[i * factor + k - half] ?? 0);
      reduced[i] = sum;
    }
    return reduced;
  }
}

/** A windowed sinc that lets a third of the reduced rate pass, of sum one. */
function lowPass(factor: number): Float64Array {
  const half = 4 * factor;
  const taps = Float64Array.from({ length: 2 * half + 1 }, (_, k) => {
    const x = (2 * (k - half)) / (3 * factor);
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    return sinc * (0.5 + 0.5 * Math.cos((Math.PI * (k - half)) / (half + 1)));
  });
  const sum = taps.reduce((a, b) => a + b);
  return taps.map((tap) => tap / sum);
}

/** Where a parabola through a dip and its neighbours is lowest. */
function refined(values: Float64Array, lag: number): number {
  const [before, at, after] = [values[lag - 1], values[lag], values[lag + 1]];
  const curve = before - 2 * at + after;
  if (!(curve > 0)) return lag;
  return lag + Math.max(-0.5, Math.min(0.5, (before - after) / (2 * curve)));
}

function power(samples: Float64Array): number {
  return samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
}
