/** What a frame's attention to any token counts at least: heads look elsewhere for a frame or two. */
const LEAST_WEIGHT = 1e-3;
/** Paths that are this much less probable than the best one (in nats) are given up: three frames of looking elsewhere. */
const BEAM = 21;

/**
 * The token that sounds in each frame: of all paths through a text that never go back, the one along which attention is
 * largest (Viterbi's). A frame's token is told as soon as no later frame can change it.
 */
export class MonotonicPath {
  /** Log probability of the best path that ends at each token; -Infinity where it was given up. */
  #scores = new Float64Array(0);
  /** For each frame that is not certain yet, the token of the frame before by token. */
  #before: Int32Array[] = [];

  /** Takes a frame's attention to the tokens that were read so far. @returns the tokens of the frames that became certain. */
  push(weights: Float32Array): number[] {
    const scores = new Float64Array(weights.length).fill(-Infinity);
    const before = new Int32Array(weights.length);
    const first = this.#scores.length === 0;
    let [best, from] = [first ? 0 : -Infinity, 0];
    weights.forEach((weight, token) => {
      if (!first && this.#scores[token] > best) [best, from] = [this.#scores[token], token];
      scores[token] = best + Math.log(Math.max(weight, LEAST_WEIGHT));
      before[token] = from;
    });
    const least = Math.max(...scores) - BEAM;
    this.#scores = scores.map((score) => (score < least ? -Infinity : score));
    this.#before.push(before);
    return this.#certain();
  }

  /** The tokens of the frames that are left. */
  end(): number[] {
    const last = this.#scores.indexOf(Math.max(...this.#scores));
    const path = this.#before.length > 0 ? this.#trace(last) : [];
    this.#before = [];
    return path;
  }

  /** Paths do not cross, so all agree where the lowest and the highest do. */
  #certain(): number[] {
    const alive = (score: number) => score > -Infinity;
    const low = this.#trace(this.#scores.findIndex(alive));
    const high = this.#trace(this.#scores.findLastIndex(alive));
    let count = 0;
    while (count < low.length && low[count] === high[count]) count++;
    this.#before.splice(0, count);
    return low.slice(0, count);
  }

  /** The path that ends at a token, over the frames that are not certain. */
  #trace(token: number): number[] {
    const path = new Array<number>(this.#before.length);
    for (let frame = path.length - 1; frame >= 0; frame--) {
      path[frame] = token;
      token = this.#before[frame][token];
    }
    return path;
  }
}
