import type { Frame, Modulations } from './graphs.js';
import type { SharedPrefix } from './prefix-store.js';
import type { Session } from './session.js';
import type { NoiseSource } from './torch-random.js';
import type { Position } from './trunk-feed.js';

export interface StreamOptions {
  /** 1 is the conditional row alone. */
  guidanceScale: number;
  noise: NoiseSource;
  /** What this stream begins with as others do: computed for the first of them, copied for the rest. */
  prefix?: SharedPrefix;
  /** Whether its frames come with the scores of the alignment heads, where the model has any. */
  watched?: boolean;
}

/** A sequence in the cache. */
export interface Row {
  slot: number;
  /** Positions in the cache. */
  cached: number;
  /** Positions that are fed and not yet computed. */
  pending: Position[];
}

/** One voice that is being written: its conditional and, with guidance, unconditional row. */
export class SledStream {
  readonly conditional: Row;
  readonly unconditional: Row | undefined;
  /** What the noise of the next frames does to the energy head, as far as it is computed already. */
  readonly modulations: Modulations[] = [];
  closed = false;

  /** Made by Session.open(). */
  constructor(
    private readonly session: Session,
    readonly options: StreamOptions,
    slots: number[],
  ) {
    const [conditional, unconditional] = slots.map((slot) => ({ slot, cached: 0, pending: [] }));
    this.conditional = conditional;
    this.unconditional = unconditional;
  }

  get rows(): Row[] {
    return this.unconditional ? [this.conditional, this.unconditional] : [this.conditional];
  }

  /** Positions of the conditional row, computed or not. */
  get length(): number {
    return this.conditional.cached + this.conditional.pending.length;
  }

  /** Appends text to the conditional row. @throws {RangeError} for an id that the network does not embed. */
  feedText(ids: readonly number[]): void {
    const { vocabSize } = this.session.config;
    const wrong = ids.find((id) => !(id >= 0 && id < vocabSize));
    if (wrong !== undefined) throw new RangeError(`text: expected ids from 0 to ${vocabSize - 1}, got ${wrong}`);
    this.conditional.pending.push(...ids);
  }

  /** Begins the unconditional row, which holds this token instead of the text. */
  feedUnconditional(id: number): void {
    this.unconditional?.pending.push(id);
  }

  /** Appends a frame [D] to both rows. */
  feedFrame(latent: Float32Array): void {
    this.conditional.pending.push(latent);
    this.unconditional?.pending.push(latent);
  }

  /** Computes what was fed and draws the next frame, in one graph with the other streams that are ready. */
  step(): Promise<Frame> {
    return this.session.step(this);
  }

  /** Frees its place; a frame that is being drawn is thrown away. */
  close(): void {
    this.session.close(this);
  }
}
