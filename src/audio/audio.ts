/** Sound in memory. Letters: N samples. */
export interface Audio {
  /** Mono, nominally in [-1, 1], [N]. */
  samples: Float32Array;
  /** Samples a second. */
  sampleRate: number;
}

/** A sound file or sound device that cannot be read or written; the message is one line for a user. */
export class AudioError extends Error {
  override name = 'AudioError';
}

/** Files beyond this are not read: Node's own limit for one buffer read. */
export const MAX_FILE_BYTES = 2 ** 31 - 1;

/** Samples a decoder may produce (1 GiB as float32, 3 hours at 24 kHz): a few crafted bytes can stand for hours. */
export const MAX_SAMPLES = 2 ** 28;

/** The range of sample rates that real files have; wide enough for anything but a damaged header. */
export const MIN_SAMPLE_RATE = 1_000;
export const MAX_SAMPLE_RATE = 768_000;

/** Refuses a sample rate that no recording has, naming `where` it stood. */
export function checkSampleRate(where: string, sampleRate: number): void {
  if (!Number.isInteger(sampleRate) || sampleRate < MIN_SAMPLE_RATE || sampleRate > MAX_SAMPLE_RATE)
    throw new AudioError(
      `${where}: expected a sample rate of ${MIN_SAMPLE_RATE} to ${MAX_SAMPLE_RATE} Hz, got ${sampleRate}`,
    );
}

/** Refuses more samples than {@link MAX_SAMPLES}, naming `where` they stood. */
export function checkSampleCount(where: string, count: number): void {
  if (count > MAX_SAMPLES)
    throw new AudioError(
      `${where}: ${count} samples are more than the ${MAX_SAMPLES} that are read at once; cut the recording`,
    );
}
