/** One utterance, ready for training. Letters: L text tokens (`<s>` and `</s>` included), T frames, D latent channels. */
export interface Sample {
  id: string;
  text: string;
  /** [L] */
  tokens: Int32Array;
  /** T */
  frames: number;
  /** Writes the latents [T, D] to `out` from `offset`. */
  copyLatents(out: Float32Array, offset: number): void;
  /** [T, 2]: first token that sounds in each frame, and the one after the last; null when it is not known. */
  spoken: Int32Array | null;
}

/** A list of samples of which only lengths are held ready. */
export interface Dataset {
  readonly length: number;
  readonly latentDim: number;
  /** Frames of each sample. */
  readonly frames: Int32Array;
  /** With what another thread opens the same samples; absent where only this thread has them. */
  readonly origin?: { folder: string; maxPositions: number };
  sample(index: number): Sample;
}

/**
 * Which tokens sound in each frame.
 * @param ends end of each token in audio samples from the utterance's start, specials left out; non-decreasing
 * @returns [T, 2] token indices (1 is the first after `<s>`): from the first, to one past the last
 */
export function spokenTokens(ends: ArrayLike<number>, frames: number, hopLength: number): Int32Array {
  const spoken = new Int32Array(2 * frames);
  let first = 0;
  for (let frame = 0; frame < frames; frame++) {
    const [start, end] = [frame * hopLength, (frame + 1) * hopLength];
    while (first < ends.length - 1 && ends[first] <= start) first++;
    let past = first + 1;
    while (past < ends.length && ends[past - 1] < end) past++;
    spoken[2 * frame] = first + 1;
    spoken[2 * frame + 1] = past + 1;
  }
  return spoken;
}
