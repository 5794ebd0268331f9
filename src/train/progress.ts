import type { LoopState } from './checkpoint.js';
import type { HeldOut } from './held-out.js';

/** What a step reports. */
export interface Scalars {
  energy: number;
  end: number;
  alignment?: number;
  /** Gradient norm before clipping. */
  gradient: number;
  /** The schedule's factor. */
  rate: number;
  /** Real frames. */
  frames: number;
  /** Positions computed, padding included. */
  positions: number;
  /** Of the step's time, the seconds in which nothing could be computed because its data was not there. */
  waiting: number;
}

/** Averages steps between two log lines and writes one aligned line for each. */
export class Progress {
  private sums: Record<string, number> = {};
  private steps = 0;
  private started = performance.now();

  constructor(
    private readonly write: (line: string) => void,
    private readonly scalars: (scalars: Scalars, step: number) => void,
  ) {}

  add(scalars: Scalars): void {
    this.steps++;
    for (const [key, value] of Object.entries(scalars))
      if (value !== undefined) this.sums[key] = (this.sums[key] ?? 0) + value;
  }

  /** Writes the line of the steps since the last one. */
  log({ step, epoch, seconds, skipped }: LoopState): void {
    if (this.steps === 0) return;
    const elapsed = (performance.now() - this.started) / 1000;
    const mean = Object.fromEntries(Object.entries(this.sums).map(([key, sum]) => [key, sum / this.steps]));
    const { energy, end, alignment, gradient, rate } = mean;
    const perSecond = (mean.frames * this.steps) / elapsed;
    const waiting = (mean.waiting * this.steps) / elapsed;
    const parts = [
      `step ${String(step).padStart(7)}`,
      `epoch ${String(epoch).padStart(3)}`,
      `energy ${energy.toFixed(4)}`,
      `end ${end.toFixed(4)}`,
      ...(alignment === undefined ? [] : [`alignment ${alignment.toFixed(4)}`]),
      `gradient ${gradient.toFixed(3).padStart(6)}`,
      `rate ${rate.toFixed(3)}`,
      `${Math.round(perSecond).toString().padStart(6)} frames/s`,
      `waiting ${(100 * waiting).toFixed(1)} %`,
      ...(skipped > 0 ? [`skipped ${skipped}`] : []),
      `${(seconds / 60).toFixed(1).padStart(6)} min`,
    ];
    this.write(parts.join('  '));
    this.scalars({ ...(mean as unknown as Scalars), frames: perSecond, waiting }, step);
    [this.sums, this.steps, this.started] = [{}, 0, performance.now()];
  }

  evaluation({ step }: LoopState, { energy, end, textShare }: HeldOut): void {
    const values = `energy ${energy.toFixed(4)}  end ${end.toFixed(4)}  text share ${textShare.toFixed(4)}`;
    this.write(`step ${String(step).padStart(7)}  held out   ${values}`);
    this.started = performance.now();
  }
}
