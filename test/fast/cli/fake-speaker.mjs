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
        frames++;
        options.onProgress?.({
          frames,
          fraction: typeof text === 'string' ? frames / text.length : undefined,
        });
        options.onFrame?.(Float32Array.of(frames, letter.codePointAt(0)));
        options.onWord?.(wordOf(letter, frames - 1));
        yield tone(letter.codePointAt(0) + options.seed);
      }
  }

  async generateBatch(texts, { count, ...options }) {
    const speeches = [];
    for (const text of texts.flatMap((text) => Array(count).fill(text))) {
      const [chunks, words] = [[], []];
      const onWord = options.words ? (word) => words.push(word) : undefined;
      for await (const chunk of this.stream(text, { ...options, onWord, seed: options.seed + speeches.length }))
        chunks.push(...chunk);
      speeches.push({
        samples: Float32Array.from(chunks),
        latents: new Float32Array(2 * text.length),
        frames: text.length,
        words,
      });
    }
    return speeches;
  }

  /** What it is made of, and where it was saved. */
  async createVoice(recording) {
    this.recording = recording;
    return { text: recording.text, latents: new Float32Array(4), seconds: 1, save: (path) => (this.saved = path) };
  }

  free() {
    this.freed++;
  }
}

/** A letter of a text is a word. */
const wordOf = (word, i) => ({
  word,
  startSeconds: i / 10,
  endSeconds: (i + 1) / 10,
  textStart: i,
  textEnd: i + 1,
  source: 'plan',
});

const tone = (pitch) =>
  Float32Array.from({ length: CHUNK }, (_, i) => 0.5 * Math.sin((2 * Math.PI * pitch * i) / CHUNK));
