import { setTimeout as sleep } from 'node:timers/promises';

const SAMPLE_RATE = 24_000;
const CHUNK = 2_400;

/** A speaker that needs no voice: each letter is a tenth of a second whose pitch depends on it and on the seed. */
export class FakeSpeaker {
  sampleRate = SAMPLE_RATE;
  freed = 0;
  /** What `stream` was called with. */
  calls = [];

  /** `delayMs`: how long a letter takes to compute. */
  constructor(delayMs = 0) {
    this.delayMs = delayMs;
  }

  async *stream(text, options) {
    this.calls.push(options);
    let frames = 0;
    for await (const piece of typeof text === 'string' ? [text] : text)
      for (const letter of piece.trim()) {
        if (this.delayMs > 0) await sleep(this.delayMs, undefined, { signal: options.signal });
        options.signal.throwIfAborted();
        options.onProgress?.({
          frames: ++frames,
          fraction: typeof text === 'string' ? frames / text.length : undefined,
        });
        yield tone(letter.codePointAt(0) + options.seed);
      }
  }

  free() {
    this.freed++;
  }
}

const tone = (pitch) =>
  Float32Array.from({ length: CHUNK }, (_, i) => 0.5 * Math.sin((2 * Math.PI * pitch * i) / CHUNK));
