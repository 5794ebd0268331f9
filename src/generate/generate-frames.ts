import { isInterleaved, type SledConfig } from '../model/config.js';
import type { SharedPrefix } from './prefix-store.js';
import type { Session } from './session.js';
import type { TokenSource } from './token-source.js';
import type { NoiseSource } from './torch-random.js';

/** The end-of-speech probability that stops a text that is read in turns, and one that is read at once. */
const STREAMING_THRESHOLD = 0.5;
const OFFLINE_THRESHOLD = 0.8;

/** How a text becomes frames. */
export interface GenerateOptions {
  noise: NoiseSource;
  /** 1 computes the conditional row alone. */
  guidanceScale: number;
  /** Frames [D] of a voice: the first ones of the sequence, given instead of drawn; the text begins with theirs. */
  prompt?: readonly Float32Array[];
  /** What streams with this prompt have in common, see sharedPrefix(). */
  prefix?: SharedPrefix;
  /** Most frames to draw, given how many tokens were read (default: until the positions are used up). */
  maxFrames?: number | ((tokens: number) => number);
  signal?: AbortSignal;
  /** Told the end-of-speech score, before its sigmoid, of each step. */
  onEndScore?: (score: number) => void;
  /** Told before the next turn's text is waited for. */
  onWaiting?: () => void;
  /** Told of each drawn frame how much attention the alignment heads paid to each token read, summing to 1; never where there are none. */
  onAttention?: (weights: Float32Array) => void;
}

/** Why generation ended: by its end-of-speech score, by maxFrames, or because no position was left. */
export type StopReason = 'end' | 'maxFrames' | 'positions';

/**
 * Reads text and yields latent frames [D], in the released code's order: a turn's text, a turn's frames, and so on; offline is one
 * endless turn. The end-of-speech score counts once the whole text is read, so that no text is lost; the frame of the step
 * that it stops is not speech. Nothing is computed after an abort, which throws the signal's reason.
 */
export async function* generateFrames(
  session: Session,
  config: SledConfig,
  text: TokenSource,
  options: GenerateOptions,
): AsyncGenerator<Float32Array, StopReason> {
  const { signal, maxFrames = Infinity, prompt = [], onEndScore, onWaiting, onAttention } = options;
  const { textPerTurn, framesPerTurn, maxPositions, eosId } = config;
  const threshold = isInterleaved(config) ? STREAMING_THRESHOLD : OFFLINE_THRESHOLD;
  let turn = await text.read(textPerTurn, signal);
  const stream = session.open({ ...options, watched: onAttention !== undefined });
  const textAt: number[] = []; // position of each token
  const feed = (ids: readonly number[]) => {
    ids.forEach((_, i) => textAt.push(stream.length + i));
    stream.feedText(ids);
  };
  try {
    stream.feedUnconditional(eosId);
    feed(turn.ids);
    let [frames, tokens, given] = [0, turn.ids.length, 0];
    for (;;) {
      const limit = typeof maxFrames === 'number' ? maxFrames : maxFrames(tokens);
      for (let written = 0; turn.ended || written < framesPerTurn; written++) {
        if (given < prompt.length) {
          stream.feedFrame(prompt[given++]);
          continue;
        }
        if (frames >= limit) return 'maxFrames';
        if (stream.length >= maxPositions) return 'positions';
        signal?.throwIfAborted();
        const { latent, endScore, headScores } = await stream.step();
        signal?.throwIfAborted();
        onEndScore?.(endScore);
        if (turn.ended && probability(endScore) >= threshold) return 'end';
        if (headScores) onAttention?.(textAttention(headScores, textAt));
        stream.feedFrame(latent);
        frames++;
        yield latent;
      }
      onWaiting?.();
      turn = await text.read(textPerTurn, signal);
      tokens += turn.ids.length;
      feed(turn.ids);
    }
  } finally {
    stream.close();
  }
}

/** Softmax of each head's scores over the positions that hold text, averaged over heads. */
export function textAttention(headScores: readonly Float32Array[], textAt: readonly number[]): Float32Array {
  const mean = new Float32Array(textAt.length);
  for (const scores of headScores) {
    const largest = textAt.reduce((most, at) => Math.max(most, scores[at]), -Infinity);
    const weights = textAt.map((at) => Math.exp(scores[at] - largest));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    weights.forEach((weight, i) => (mean[i] += weight / sum / headScores.length));
  }
  return mean;
}

const probability = (score: number) => 1 / (1 + Math.exp(-score));
