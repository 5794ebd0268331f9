import { PHONEMES } from '../../text/alphabet.js';
import { CEPSTRUM_CHANNELS } from './cepstra.js';
import { Gaussians, Statistics } from './gaussians.js';

/** States that a phoneme passes through, a frame at least each: its beginning, middle and end. */
const STATES = 3;
/** Rounds in which sounds are learned and recordings aligned with what was learned. */
const ROUNDS = 10;
/** The share of frames, the quietest, that silence is learned from at first. */
const QUIET_SHARE = 0.08;

/** Letters whose sounds are learned: a vowel is one with any stress. */
const LETTERS = [...new Set(PHONEMES.filter(isSounding).map(letterOf))];
/** State of a pause, after those of all letters. */
const PAUSE = STATES * LETTERS.length;

function isSounding(phoneme: string): boolean {
  return !/^[ ,.!?;:—]$/.test(phoneme);
}

function letterOf(phoneme: string): string {
  return phoneme.replace(/^[ˈˌ]/, '');
}

/** A recording: cepstra [T, CEPSTRUM_CHANNELS], flat, and the phonemes that are said in it, with spaces and stops. */
export interface Recording {
  frames: Float32Array;
  phonemes: readonly string[];
}

/** States that a recording passes through. */
interface Chain {
  /** Class of each state. */
  classes: Int32Array;
  /** Token of each state. */
  tokens: Int32Array;
  /** Of each state, how many before it it may be come to from: 1, or 2 where a pause may be left out. */
  reach: Uint8Array;
  /** The classes that occur. */
  wanted: Int32Array;
}

/**
 * Finds when each phoneme of a recording sounds, by what the recordings themselves teach of how phonemes sound: three
 * normal distributions a phoneme (beginning, middle, end) and one of silence, learned by Viterbi training from an even
 * division of each recording. Nothing is learned before of any voice or language.
 */
export class PhonemeAligner {
  readonly #models = new Gaussians(PAUSE + 1, CEPSTRUM_CHANNELS);

  /** Learns the sounds from recordings of one voice. */
  constructor(recordings: readonly Recording[], onRound?: (round: number, score: number) => void) {
    const quiet = quantile(recordings, QUIET_SHARE);
    this.#learn(recordings, ({ frames, phonemes }) => evenPath(frames, chainOf(phonemes), quiet));
    for (let round = 1; round <= ROUNDS; round++) {
      let [score, count] = [0, 0];
      this.#learn(recordings, ({ frames, phonemes }) => {
        const chain = chainOf(phonemes);
        const found = this.#follow(frames, chain);
        if (!found) return undefined;
        score += found.score;
        count += found.states.length;
        return found.states.map((state) => chain.classes[state]);
      });
      onRound?.(round, score / Math.max(count, 1));
    }
  }

  /**
   * @returns the end of each phoneme, in frames of the cepstra; a space or stop without a pause ends where it begins.
   * Undefined where the recording is too short for its phonemes.
   */
  align({ frames, phonemes }: Recording): number[] | undefined {
    const chain = chainOf(phonemes);
    const found = this.#follow(frames, chain);
    if (!found) return undefined;
    const ends = new Array<number>(phonemes.length).fill(0);
    found.states.forEach((state, t) => (ends[chain.tokens[state]] = t + 0.5)); // a frame's window is centred on it
    for (let k = 1; k < phonemes.length; k++) ends[k] = Math.max(ends[k], ends[k - 1]);
    return ends.slice(0, phonemes.length);
  }

  /** Takes the distributions of the frames of each class; recordings without classes are left out. */
  #learn(recordings: readonly Recording[], classesOf: (recording: Recording) => ArrayLike<number> | undefined): void {
    const statistics = new Statistics(PAUSE + 1, CEPSTRUM_CHANNELS);
    for (const recording of recordings) {
      const classes = classesOf(recording) ?? [];
      for (let t = 0; t < classes.length; t++) statistics.add(recording.frames, t * CEPSTRUM_CHANNELS, classes[t]);
    }
    this.#models.fit(statistics);
  }

  /** The most probable path of states, one a frame (Viterbi). */
  #follow(frames: Float32Array, { classes, reach, wanted }: Chain): { states: Int32Array; score: number } | undefined {
    const [S, T] = [classes.length, frames.length / CEPSTRUM_CHANNELS];
    const likelihood = new Float64Array(PAUSE + 1);
    const back = new Uint8Array(S * T);
    let [scores, next] = [new Float64Array(S).fill(-Infinity), new Float64Array(S)];
    for (let t = 0; t < T; t++) {
      this.#models.score(frames, t * CEPSTRUM_CHANNELS, wanted, likelihood);
      for (let s = 0; s < S; s++) {
        let [best, step] = [t === 0 && s < 2 ? 0 : scores[s], 0]; // the pause before speech may be left out
        for (let d = 1; d <= reach[s]; d++) if (s >= d && scores[s - d] > best) [best, step] = [scores[s - d], d];
        next[s] = best + likelihood[classes[s]];
        back[t * S + s] = step;
      }
      [scores, next] = [next, scores];
    }
    let state = scores[S - 2] > scores[S - 1] ? S - 2 : S - 1;
    const score = scores[state];
    if (score === -Infinity) return undefined;
    const states = new Int32Array(T);
    for (let t = T - 1; t >= 0; t--) {
      states[t] = state;
      state -= back[t * S + state];
    }
    return { states, score };
  }
}

/** A pause that may be left out, the phonemes, each run of spaces and stops a pause that may be left out, and one at the end. */
function chainOf(phonemes: readonly string[]): Chain {
  const [classes, tokens, reach]: number[][] = [[PAUSE], [0], [0]];
  const isPause = () => classes[classes.length - 1] === PAUSE;
  phonemes.forEach((phoneme, token) => {
    if (isSounding(phoneme))
      for (let i = 0; i < STATES; i++) {
        reach.push(i === 0 && isPause() ? 2 : 1);
        classes.push(STATES * LETTERS.indexOf(letterOf(phoneme)) + i);
        tokens.push(token);
      }
    else if (!isPause()) {
      reach.push(1);
      classes.push(PAUSE);
      tokens.push(token);
    }
  });
  if (!isPause()) [classes, tokens, reach].forEach((list, i) => list.push([PAUSE, phonemes.length, 1][i]));
  return { classes: Int32Array.from(classes), tokens: Int32Array.from(tokens), reach: Uint8Array.from(reach), wanted: Int32Array.from(new Set(classes)) }; // prettier-ignore
}

/** Classes of frames as if all states but pauses took the same time, and quiet frames were pauses. */
function evenPath(frames: Float32Array, { classes }: Chain, quiet: number): Int32Array {
  const sounding = classes.filter((one) => one !== PAUSE);
  const T = frames.length / CEPSTRUM_CHANNELS;
  return Int32Array.from({ length: sounding.length > 0 ? T : 0 }, (_, t) =>
    frames[t * CEPSTRUM_CHANNELS] < quiet ? PAUSE : sounding[Math.floor((t * sounding.length) / T)],
  );
}

/** The loudness (first coefficient) that this share of frames is below. */
function quantile(recordings: readonly Recording[], share: number): number {
  const all = recordings.flatMap(({ frames }) => {
    return Array.from({ length: frames.length / CEPSTRUM_CHANNELS }, (_, t) => frames[t * CEPSTRUM_CHANNELS]);
  });
  return Float64Array.from(all).sort()[Math.floor(share * all.length)];
}
