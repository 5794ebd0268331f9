import { openAudioStream } from '../audio/stream-audio.js';
import { ManifestError, type Cut } from './manifest.js';

/** A manifest rounds its times: a cut may end this much after its recording, seconds. */
export const END_TOLERANCE_SECONDS = 0.1;

/** Samples [N] of a cut, at its file's rate. */
export interface CutSamples<T extends Cut> {
  cut: T;
  samples: Float32Array;
  sampleRate: number;
}

interface Span<T extends Cut> {
  cut: T;
  start: number;
  end: number;
}

/**
 * Decodes a recording once, front to back, no further than its last cut; a cut is given as soon as its last sample is
 * there. Memory holds what the cuts that have begun still need.
 * Samples are trunc(rate * start) to trunc(rate * (start + duration)), as the released code has them.
 * @param cuts of one file, in any order; they may overlap
 * @throws {ManifestError} for a cut beyond the recording's end. @throws {AudioError}
 */
export async function* readCuts<T extends Cut>(path: string, cuts: readonly T[]): AsyncGenerator<CutSamples<T>> {
  const stream = await openAudioStream(path);
  try {
    const { sampleRate } = stream;
    const spans = cuts.map((cut) => spanOf(cut, sampleRate)).sort((a, b) => a.start - b.start || a.end - b.end);
    const window = new SampleWindow();
    let waiting = spans;
    for await (const block of stream.blocks) {
      window.push(block);
      const whole = waiting.filter(({ end }) => end <= window.end);
      waiting = waiting.filter(({ end }) => end > window.end);
      for (const { cut, start, end } of whole) yield { cut, samples: window.slice(start, end), sampleRate };
      if (waiting.length === 0) return;
      window.dropBefore(waiting[0].start);
    }
    for (const { cut, start, end } of waiting) {
      if (end > window.end + END_TOLERANCE_SECONDS * sampleRate || start >= window.end)
        throw new ManifestError(`${cut.id}: ends at sample ${end}, but ${path} has ${window.end}`);
      yield { cut, samples: window.slice(start, window.end), sampleRate };
    }
  } finally {
    await stream.close();
  }
}

function spanOf<T extends Cut>(cut: T, sampleRate: number): Span<T> {
  const { startSeconds, durationSeconds, exact } = cut;
  const isSameRate = exact && Math.abs(exact.numSamples / sampleRate - durationSeconds) < 1e-3;
  if (isSameRate) return { cut, start: exact.startSample, end: exact.startSample + exact.numSamples };
  return {
    cut,
    start: Math.trunc(startSeconds * sampleRate),
    end: Math.trunc((startSeconds + durationSeconds) * sampleRate),
  };
}

/** The last samples of a stream. */
class SampleWindow {
  /** Samples pushed so far. */
  end = 0;
  private blocks: { start: number; samples: Float32Array }[] = [];

  push(samples: Float32Array): void {
    this.blocks.push({ start: this.end, samples });
    this.end += samples.length;
  }

  slice(start: number, end: number): Float32Array {
    const out = new Float32Array(end - start);
    for (const { start: at, samples } of this.blocks) {
      const part = samples.subarray(Math.max(0, start - at), Math.max(0, end - at));
      if (part.length > 0) out.set(part, Math.max(0, at - start));
    }
    return out;
  }

  dropBefore(sample: number): void {
    this.blocks = this.blocks.filter(({ start, samples }) => start + samples.length > sample);
  }
}
