import cliProgress from 'cli-progress';
import type { Writable } from 'node:stream';

/** Off a terminal a line is written this often. */
const LINE_EVERY_MS = 30_000;

/** Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere, nothing when quiet. */
export class WorkBar {
  readonly #bar: cliProgress.SingleBar | undefined;
  #lastLine = performance.now();
  #status = '';

  constructor(
    private readonly stderr: Writable & { isTTY?: boolean },
    private readonly options: { total: number; quiet?: boolean },
  ) {
    if (options.quiet || !stderr.isTTY) return;
    const format = '{bar} {percentage} % | {status} | {eta_formatted} left';
    this.#bar = new cliProgress.SingleBar(
      { format, stream: stderr as NodeJS.WriteStream, hideCursor: true },
      cliProgress.Presets.shades_classic,
    );
    this.#bar.start(options.total, 0, { status: '' });
  }

  update(done: number, status: string): void {
    this.#status = status;
    this.#bar?.update(done, { status });
    if (this.#bar || this.options.quiet || performance.now() - this.#lastLine < LINE_EVERY_MS) return;
    this.#lastLine = performance.now();
    this.stderr.write(`${done} of ${this.options.total} | ${status}\n`);
  }

  /** Ends the bar; off a terminal the last status stays as a line. */
  stop(): void {
    if (this.#bar) this.#bar.stop();
    else if (!this.options.quiet && this.#status) this.stderr.write(`${this.#status}\n`);
  }
}
