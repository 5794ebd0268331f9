import cliProgress from 'cli-progress';
import type { Writable } from 'node:stream';
import type { SpeakProgress } from './world.js';

/** Shorter work needs no bar. */
const DELAY_MS = 2_000;

/** A bar on standard error for speaking that takes longer than two seconds; nothing at all off a terminal. */
export class ProgressBar {
  #bar: cliProgress.SingleBar | undefined;
  readonly #started = performance.now();
  readonly #stderr: Writable & { isTTY?: boolean };
  readonly #enabled: boolean;

  constructor(stderr: Writable & { isTTY?: boolean }, enabled = true) {
    this.#stderr = stderr;
    this.#enabled = enabled && stderr.isTTY === true;
  }

  update({ frames, fraction }: SpeakProgress): void {
    if (!this.#enabled || fraction === undefined || performance.now() - this.#started < DELAY_MS) return;
    this.#bar ??= this.#start();
    this.#bar.update(Math.min(1, fraction), { frames });
  }

  stop(): void {
    this.#bar?.stop();
  }

  #start(): cliProgress.SingleBar {
    const bar = new cliProgress.SingleBar(
      {
        format: '{bar} {percentage} % | {frames} frames | {eta_formatted} left',
        stream: this.#stderr as NodeJS.WriteStream,
        clearOnComplete: true,
        stopOnComplete: true,
        hideCursor: true,
      },
      cliProgress.Presets.shades_classic,
    );
    bar.start(1, 0, { frames: 0 });
    return bar;
  }
}
