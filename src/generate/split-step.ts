import type { Frame, FrameInput, HeadGraph, NoiseGraph, RowResult, Step, TrunkGraph } from './graphs.js';
import type { PositionInput } from './trunk-feed.js';
import type { Workers } from './workers.js';

interface SplitStepParts {
  workers: Workers;
  /** Neighbouring slots each, on a worker each. */
  trunks: readonly TrunkGraph[];
  /** On the first worker. */
  head: HeadGraph;
  /** On another worker than the head. */
  noise: NoiseGraph;
}

/**
 * A step whose rows are shared out to workers. While the first draws the frames, the last computes what the noise of the frames
 * after them will do to the energy head: an eighth of a frame's work, which needs nothing of what is drawn.
 */
export class SplitStep implements Step {
  constructor(private readonly parts: SplitStepParts) {}

  async compute(rows: readonly (PositionInput | undefined)[], frames: readonly FrameInput[]): Promise<Frame[]> {
    const { workers, head, noise, trunks } = this.parts;
    workers.share(trunks.length);
    const [results, modulations] = await Promise.all([this.#trunks(rows), this.#modulations(frames)]);
    workers.share(2);
    const [drawn, next] = await Promise.all([
      head.compute(results, frames, modulations),
      noise.compute(frames.map(({ nextNoise }) => nextNoise)),
    ]);
    return drawn.map((frame, i) => ({ ...frame, nextModulations: next[i] }));
  }

  async #trunks(rows: readonly (PositionInput | undefined)[]): Promise<RowResult[]> {
    let from = 0;
    const shares = this.parts.trunks.map((trunk) => trunk.compute(rows.slice(from, (from += trunk.rows))));
    return (await Promise.all(shares)).flat();
  }

  /** Those that the step before computed, or, when a stream has just joined, all anew. */
  async #modulations(frames: readonly FrameInput[]) {
    const known = frames.flatMap(({ modulations }) => (modulations ? [modulations] : []));
    return known.length === frames.length ? known : this.parts.noise.compute(frames.map(({ noise }) => noise));
  }
}
