import type {
  Frame,
  FrameInput,
  HeadGraph,
  Modulations,
  NoiseGraph,
  NoiseShape,
  RowResult,
  Step,
  StepGraph,
  TrunkGraph,
} from './graphs.js';
import type { PositionInput } from './trunk-feed.js';
import type { Workers } from './workers.js';

type Rows = readonly (PositionInput | undefined)[];

/**
 * What noise does to the energy head, an eighth of the weights that a frame reads, needs nothing of what is drawn: a worker that
 * has nothing else to do computes it for several frames to come, which read those weights once.
 */
export class NoiseBeside {
  /** The graph for a number of frames. */
  constructor(private readonly graphOf: (frames: number) => Promise<NoiseGraph>) {}

  /** Of this step's frames: those that are known, and, of streams that have just joined, those that are not. */
  async now(frames: readonly FrameInput[]): Promise<Modulations[]> {
    const missing = await this.#compute(frames.flatMap(({ modulations, noise }) => (modulations ? [] : [noise])));
    return frames.map(({ modulations }) => modulations ?? missing.shift()!);
  }

  /** Of each stream's FrameInput.ahead. */
  async next(frames: readonly FrameInput[]): Promise<Modulations[][]> {
    const all = await this.#compute(frames.flatMap(({ ahead }) => ahead));
    return frames.map(({ ahead }) => all.splice(0, ahead.length));
  }

  async #compute(noise: readonly Float32Array[]): Promise<Modulations[]> {
    return noise.length > 0 ? (await this.graphOf(noise.length)).compute(noise) : [];
  }
}

/** A step in one graph. */
export class WholeStep implements Step {
  constructor(private readonly graphOf: (noise: NoiseShape) => Promise<StepGraph>) {}

  async compute(rows: Rows, frames: readonly FrameInput[]): Promise<Frame[]> {
    const given = frames.every(({ modulations }) => modulations !== undefined);
    const ahead = frames.reduce((count, { ahead }) => count + ahead.length, 0);
    return (await this.graphOf({ given, ahead })).compute(rows, frames);
  }
}

interface SplitStepParts {
  workers: Workers;
  /** Neighbouring slots each, on a worker each. */
  trunks: readonly TrunkGraph[];
  /** On the first worker. */
  head: HeadGraph;
  noise: NoiseBeside;
}

/** A step whose rows are shared out to workers. While the first then draws the frames, another computes ahead. */
export class SplitStep implements Step {
  constructor(private readonly parts: SplitStepParts) {}

  async compute(rows: Rows, frames: readonly FrameInput[]): Promise<Frame[]> {
    const { workers, head, noise, trunks } = this.parts;
    workers.share(trunks.length);
    const modulations = await noise.now(frames);
    const results = await this.#trunks(rows);
    workers.share(2);
    const [drawn, ahead] = await Promise.all([head.compute(results, frames, modulations), noise.next(frames)]);
    return drawn.map((frame, i) => ({ ...frame, ahead: ahead[i] }));
  }

  async #trunks(rows: Rows): Promise<RowResult[]> {
    let from = 0;
    const shares = this.parts.trunks.map((trunk) => trunk.compute(rows.slice(from, (from += trunk.rows))));
    return (await Promise.all(shares)).flat();
  }
}
