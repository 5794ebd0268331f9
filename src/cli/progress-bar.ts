import cliProgress from 'cli-progress';
import type { Writable } from 'node:stream';
import type { DownloadProgress, SpeakProgress } from './world.js';

/** Shorter work needs no bar. */
const DELAY_MS = 2_000;

type Terminal = Writable & { isTTY?: boolean };

/** A bar on standard error for what takes longer than two seconds; nothing at all off a terminal. */
class Bar {
  #bar: cliProgress.SingleBar | undefined;
  readonly #started = performance.now();
  readonly #enabled: boolean;

  constructor(
    private readonly stderr: Terminal,
    enabled: boolean,
    private readonly format: string,
  ) {
    this.#enabled = enabled && stderr.isTTY === true;
  }

  update(fraction: number, values: Record<string, string | number>): void {
    if (!this.#enabled || performance.now() - this.#started < DELAY_MS) return;
    this.#bar ??= this.#start(values);
    this.#bar.update(Math.min(1, fraction), values);
  }

  stop(): void {
    this.#bar?.stop();
  }

  #start(values: Record<string, string | number>): cliProgress.SingleBar {
    const bar = new cliProgress.SingleBar(
      {
        format: this.format,
        stream: this.stderr as NodeJS.WriteStream,
        clearOnComplete: true,
        stopOnComplete: true,
        hideCursor: true,
      },
      cliProgress.Presets.shades_classic,
    );
    bar.start(1, 0, values);
    return bar;
  }
}

/** How far speaking is. */
export class ProgressBar {
  readonly #bar: Bar;

  constructor(stderr: Terminal, enabled = true) {
    this.#bar = new Bar(stderr, enabled, '{bar} {percentage} % | {frames} frames | {eta_formatted} left');
  }

  update({ frames, fraction }: SpeakProgress): void {
    if (fraction !== undefined) this.#bar.update(fraction, { frames });
  }

  stop(): void {
    this.#bar.stop();
  }
}

/** How far the download of a model is, and of its codec after it. */
export class DownloadBar {
  #bar: Bar | undefined;
  #name = '';

  constructor(
    private readonly stderr: Terminal,
    private readonly enabled = true,
  ) {}

  update({ name, bytes, totalBytes }: DownloadProgress): void {
    if (name !== this.#name) {
      this.stop();
      this.#bar = new Bar(
        this.stderr,
        this.enabled,
        '{name} {bar} {percentage} % of {megabytes} MB | {eta_formatted} left',
      );
      this.#name = name;
    }
    this.#bar?.update(bytes / Math.max(totalBytes, 1), { name, megabytes: Math.ceil(totalBytes / 1e6) });
  }

  stop(): void {
    this.#bar?.stop();
  }
}
