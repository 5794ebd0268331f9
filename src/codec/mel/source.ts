import type { MelCodecConfig } from './config.js';

/** What pitches are counted from, in Hz: octave 0. */
const REFERENCE_PITCH = 200;
/** 50 to 800 Hz; a broken latent must not make a click of a million pulses. */
const LARGEST_OCTAVE = 2;

/** Octaves above 200 Hz of a pitch in Hz. */
export function octavesOf(hertz: number): number {
  return Math.log2(hertz / REFERENCE_PITCH);
}

/** Pitch in Hz, held within 50 and 800 Hz. */
export function hertzOf(octaves: number): number {
  return REFERENCE_PITCH * 2 ** Math.min(LARGEST_OCTAVE, Math.max(-LARGEST_OCTAVE, octaves));
}

/**
 * What the decoder's filters shape into speech: band-limited pulses that follow a pitch, and white noise, both of unit
 * power. One stream; the samples begin half a window before the first frame's centre.
 */
export class Source {
  /** Pulses and noise of the samples that the last `extend` made. */
  readonly pulses: Float64Array;
  readonly noise: Float64Array;
  private readonly hop: number;
  private readonly firstLength: number;
  private readonly sampleRate: number;
  private hertz: number | undefined;
  /** In turns. */
  private phase: number;

  /** @param random Seed of where the first pulse falls and of the noise. */
  constructor(
    config: MelCodecConfig,
    private random: number,
  ) {
    this.phase = this.uniform();
    this.sampleRate = config.sampleRate;
    this.hop = config.spectrumHopLength;
    this.firstLength = config.fftSize / 2 + pitchLead(config) * this.hop;
    this.pulses = new Float64Array(this.firstLength);
    this.noise = new Float64Array(this.firstLength);
  }

  /**
   * Goes on to the pitch that the next spectrum frame states, `pitchLead` frames ahead of its own centre.
   *
   * @returns how many samples were made: all that the frame's window covers.
   */
  extend(octaves: number): number {
    const to = hertzOf(octaves);
    const from = this.hertz ?? to;
    const length = this.hertz === undefined ? this.firstLength : this.hop;
    this.hertz = to;
    const nyquist = this.sampleRate / 2;
    for (let n = 0; n < length; n++) {
      const hertz = from + ((to - from) * n) / length;
      this.phase += hertz / this.sampleRate;
      this.phase -= Math.round(this.phase);
      this.pulses[n] = pulse(2 * Math.PI * this.phase, Math.floor(nyquist / hertz)) * Math.sqrt((2 * hertz) / nyquist);
      this.noise[n] = Math.sqrt(12) * (this.uniform() - 0.5);
    }
    return length;
  }

  /** Mulberry32. */
  private uniform(): number {
    this.random = (this.random + 0x6d2b79f5) >>> 0;
    let t = this.random;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

/** Spectrum frames by which a frame's pitch is ahead of its filters: its window ends there. */
export function pitchLead({ fftSize, spectrumHopLength }: MelCodecConfig): number {
  return Math.ceil(fftSize / 2 / spectrumHopLength);
}

/** cos(phase) + cos(2 phase) + ... + cos(count phase). */
function pulse(phase: number, count: number): number {
  const half = Math.sin(phase / 2);
  if (Math.abs(half) < 1e-9) return count;
  return Math.sin((count + 0.5) * phase) / (2 * half) - 0.5;
}
