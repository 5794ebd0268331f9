import type { SledConfig } from '../model/config.js';
import type { TextSpan } from '../text/front-end.js';
import { MonotonicPath } from './monotonic-path.js';
import { framesWithin } from './prompt.js';
import type { Utterance } from './utterances.js';

/** Where timings of words come from: heads that were taught which text sounds, or the layout of text and frames alone. */
export type TimingSource = 'attention' | 'plan';

/** A word of the text, and when it sounds: counted in frames of its utterance. */
export interface AlignedWord {
  word: TextSpan;
  start: number;
  end: number;
  source: TimingSource;
}

/** How an utterance went. */
export interface UtteranceLength {
  /** Ids that were read. */
  tokens: number;
  /** Frames that were drawn. */
  frames: number;
  /** Frames that it would have taken: more than `frames` where it was cut. */
  expected: number;
  /** Frames of the prompt before them. */
  given: number;
  /** Whether the text begins with what is said in the prompt. */
  continued: boolean;
}

/** Finds when the words of an utterance sound, and tells each in order: by attention as soon as the next one begins, by plan at the end. */
export class WordAligner {
  readonly #path = new MonotonicPath();
  #frames = 0;
  /** The last token that sounded, counted from the first of the utterance's own; undefined before the first frame. */
  #token: number | undefined;
  /** The word that sounds, by its first token. */
  #word: { first: number; start: number; end: number } | undefined;

  constructor(
    private readonly utterance: Utterance,
    private readonly config: SledConfig,
    private readonly tell: (word: AlignedWord) => void,
  ) {}

  /** Takes how much attention a drawn frame paid to each token read. */
  push(weights: Float32Array): void {
    this.#follow(this.#path.push(weights.subarray(this.utterance.certain)));
  }

  end(length: UtteranceLength): void {
    if (this.config.alignmentHeads.length === 0) return this.#tellPlan(length);
    this.#follow(this.#path.end());
    if (this.#word && this.#wordOf(this.#token)) this.#word.end = length.frames;
    this.#tellWord();
  }

  #wordOf(token = 0): TextSpan | undefined {
    return this.utterance.wordOf(this.utterance.certain + token);
  }

  /** Goes on along the path, a token for each frame. */
  #follow(path: readonly number[]): void {
    for (const token of path) {
      const [frame, last] = [this.#frames++, this.#token ?? token - 1];
      // A token that was jumped over lies between the middles of the two frames.
      for (let t = last + 1; t <= token; t++) this.#enter(t, frame - 0.5 + (t - last - 0.5) / (token - last));
      this.#token = token;
    }
  }

  #enter(token: number, frame: number): void {
    const current = this.#word && this.#wordOf(this.#word.first)?.start;
    const word = this.#wordOf(token);
    if (this.#word && this.#wordOf(token - 1)?.start === current) this.#word.end = frame;
    if (!word || word.start === current) return;
    this.#tellWord();
    this.#word = { first: token, start: frame, end: frame };
  }

  #tellWord(): void {
    const word = this.#word && this.#wordOf(this.#word.first);
    if (this.#word && word) this.tell({ word, start: this.#word.start, end: this.#word.end, source: 'attention' });
    this.#word = undefined;
  }

  /** Spreads the words evenly over the frames, none before the turn that reads it. */
  #tellPlan({ tokens, frames, expected, given, continued }: UtteranceLength): void {
    const words: { word: TextSpan; token: number }[] = [];
    for (let token = this.utterance.certain; token < tokens; token++) {
      const word = this.utterance.wordOf(token);
      if (word && word.start !== words.at(-1)?.word.start) words.push({ word, token });
    }
    const [before, first, last] = [continued ? given : 0, words.at(0)?.word.start ?? 0, words.at(-1)?.word.end ?? 1];
    const all = before + Math.max(expected, framesWithin(tokens, this.config) - given);
    const frameAt = (character: number) => ((character - first) / (last - first)) * all - before;
    const starts = words.map(({ word, token }) =>
      Math.max(0, frameAt(word.start), framesWithin(token, this.config) - given),
    );
    for (const [i, { word }] of words.entries()) {
      const start = starts[i];
      const end = Math.min(start + frameAt(word.end) - frameAt(word.start), starts[i + 1] ?? Infinity, frames);
      if (start < frames && frameAt(word.end) > 0) this.tell({ word, start, end, source: 'plan' });
    }
  }
}
