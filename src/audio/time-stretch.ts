import wsola from '@audio/stretch-wsola';
import { joinSamples } from './mix-down.js';

/** Changes how fast sound passes, and not its pitch. */
export interface TimeStretch {
  /** Samples [N] -> those that are certain now. */
  push(samples: Float32Array): Float32Array;
  /** The rest; in all there are round(N / rate). */
  flush(): Float32Array;
}

export const MIN_RATE = 0.5;
export const MAX_RATE = 2;

/** Long enough for two periods of a low voice, short enough for its sounds to stay apart. */
const FRAME_SECONDS = 0.04;
/** How far a frame may move to where it fits the one before: more than a period of a low voice. */
const SEARCH_SECONDS = 0.0125;

/**
 * Waveform-similarity overlap-add (WSOLA), for speech. The samples do not depend on how they were cut on their way in.
 * @param rate 1.2 is a fifth faster.
 * @throws {RangeError} outside of 0.5 to 2.
 */
export function createTimeStretch(rate: number, sampleRate: number): TimeStretch {
  if (!(rate >= MIN_RATE && rate <= MAX_RATE))
    throw new RangeError(`rate: expected a number from ${MIN_RATE} to ${MAX_RATE}, got ${rate}`);
  if (rate === 1) return { push: (samples) => samples, flush: () => new Float32Array(0) };
  const frameSize = 2 * Math.round((FRAME_SECONDS * sampleRate) / 2);
  const delta = Math.round(SEARCH_SECONDS * sampleRate);
  const stretch = wsola({ factor: 1 / rate, frameSize, hopSize: frameSize / 2, delta }) as Writer;
  return new BlockwiseStretch(stretch, rate, frameSize);
}

/** The library's stream: a block, or nothing for the end. */
type Writer = (block?: Float32Array) => Float32Array;

/** The search looks at all that has arrived, so equal blocks make equal sound. */
class BlockwiseStretch implements TimeStretch {
  #held = new Float32Array(0);
  #read = 0;
  #written = 0;

  constructor(
    private readonly stretch: Writer,
    private readonly rate: number,
    private readonly blockSize: number,
  ) {}

  push(samples: Float32Array): Float32Array {
    this.#read += samples.length;
    const all = joinSamples([this.#held, samples]);
    const whole = all.length - (all.length % this.blockSize);
    const pieces: Float32Array[] = [];
    for (let at = 0; at < whole; at += this.blockSize) pieces.push(this.stretch(all.slice(at, at + this.blockSize)));
    this.#held = all.slice(whole);
    return this.#counted(joinSamples(pieces));
  }

  flush(): Float32Array {
    const rest = joinSamples([this.stretch(this.#held), this.stretch()]);
    const exact = new Float32Array(Math.max(0, Math.round(this.#read / this.rate) - this.#written));
    exact.set(rest.subarray(0, exact.length));
    return exact;
  }

  #counted(samples: Float32Array): Float32Array {
    this.#written += samples.length;
    return samples;
  }
}
