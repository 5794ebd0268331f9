import type { CausalNetwork } from './causal-network.js';

/** One stream through a network: it holds back what is less than a frame, and the frames that a start needs. */
export class CausalStream {
  private pending = new Float32Array(0);
  private streamState: Float32Array;
  private hasStarted = false;
  private last: Promise<unknown> = Promise.resolve();
  private state: 'open' | 'flushed' | 'freed' = 'open';

  constructor(private readonly network: CausalNetwork) {
    this.streamState = network.emptyState();
  }

  /** Columns [L, channels] -> the output that is now certain. Calls that overlap are computed one after another. */
  push(columns: Float32Array): Promise<Float32Array> {
    this.expectOpen('push');
    const given = columns.slice();
    return this.inOrder(() => this.advance(given, false));
  }

  /** The output held back. */
  flush(): Promise<Float32Array> {
    this.expectOpen('flush');
    this.state = 'flushed';
    return this.inOrder(() => this.advance(new Float32Array(0), true));
  }

  free(): void {
    this.state = 'freed';
  }

  private expectOpen(where: string): void {
    if (this.state !== 'open') throw new Error(`${where}: this stream was ${this.state}; create another`);
  }

  private inOrder(work: () => Promise<Float32Array>): Promise<Float32Array> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }

  private async advance(columns: Float32Array, isLast: boolean): Promise<Float32Array> {
    const { channels, columnsPerFrame } = this.network.shape;
    const frame = channels * columnsPerFrame;
    this.pending = joined([this.pending, columns]);
    const outputs: Float32Array[] = [];
    for (;;) {
      const whole = Math.floor(this.pending.length / frame);
      const canStart = this.hasStarted || whole >= this.network.startFrames;
      if (canStart && whole > 0) {
        const frames = this.hasStarted ? this.network.chunkFor(whole) : this.network.startFrames;
        outputs.push(await this.compute(frames * frame));
      } else if (isLast && this.pending.length > 0) {
        outputs.push(await this.compute(this.pending.length));
      } else {
        return joined(outputs);
      }
    }
  }

  private async compute(length: number): Promise<Float32Array> {
    const columns = this.pending.subarray(0, length);
    const { output, state } = await this.network.run(columns, this.streamState, { isFirst: !this.hasStarted });
    this.hasStarted = true;
    this.streamState = state;
    this.pending = this.pending.subarray(length);
    return output;
  }
}

/** Arrays one after another. */
export function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
