import { Worker } from 'node:worker_threads';
import type { Dataset } from '../data/sample.js';
import { CheckpointError } from '../model/errors.js';
import type { ReadAheadAnswer, ReadAheadJob } from './read-ahead-worker.js';
import { layOutStep, type LayoutOptions, type PartLayout, type PlannedStep } from './step-layout.js';

/** A place in the endless row of batches, O(1) to come back to. */
export interface Cursor {
  step: number;
  epoch: number;
  /** Batches of the epoch that are done. */
  batch: number;
}

/** A step that is ready to be computed. */
export interface LaidOutStep {
  parts: PartLayout[];
  /** Where the run stands when this step is done. */
  after: Cursor;
}

/** One rank's steps in order. */
export interface BatchSource {
  /** @throws {CheckpointError} when the data cannot be read */
  next(): Promise<LaidOutStep>;
  /** Ends what reads ahead. */
  close(): Promise<void>;
}

interface SourceOptions extends LayoutOptions {
  /** Steps that a thread of its own lays out ahead of the one that is computed; 0 lays out in this thread. */
  prefetch: number;
}

type Steps = Generator<PlannedStep & { after: Cursor }, never>;

/**
 * The steps from a cursor on, the same however far they are read ahead. Data that only this thread has is laid out here.
 * @param plan the batches of an epoch
 * @param first those of the cursor's epoch
 */
export function openBatches(
  data: Dataset,
  { from, plan, first }: { from: Cursor; plan: (epoch: number) => number[][]; first: number[][] },
  { prefetch, ...options }: SourceOptions,
): BatchSource {
  const steps = stepsFrom(from, plan, first);
  if (prefetch > 0 && data.origin) return new ReadAhead(steps, { origin: data.origin, options }, prefetch);
  return {
    next: async () => {
      const { after, ...planned } = steps.next().value;
      return { parts: layOutStep(data, planned, options), after };
    },
    close: async () => {},
  };
}

/** Epoch after epoch, without end. */
function* stepsFrom({ step, epoch, batch }: Cursor, plan: (epoch: number) => number[][], first: number[][]): Steps {
  for (let batches = first; ; batches = plan(epoch)) {
    for (; batch < batches.length; step++) {
      batch++;
      const isLast = batch === batches.length;
      const after = { step: step + 1, epoch: isLast ? epoch + 1 : epoch, batch: isLast ? 0 : batch };
      yield { step, indices: batches[batch - 1], after };
    }
    [epoch, batch] = [epoch + 1, 0];
  }
}

/** Lays steps out in a thread, a bounded number ahead: each one taken asks for one more. */
class ReadAhead implements BatchSource {
  private readonly worker: Worker;
  private readonly asked: Cursor[] = [];
  private readonly answers: ReadAheadAnswer[] = [];
  /** Wakes who waits for the next. */
  private arrived: () => void = () => {};

  constructor(
    private readonly steps: Steps,
    job: ReadAheadJob,
    depth: number,
  ) {
    this.worker = new Worker(new URL('./read-ahead-worker.js', import.meta.url), { workerData: job });
    const answer = (one: ReadAheadAnswer) => {
      this.answers.push(one);
      this.arrived();
    };
    this.worker.on('message', answer);
    this.worker.on('error', (error: Error) => answer({ problem: error.message }));
    this.worker.on('exit', () => answer({ problem: 'the thread that reads the data has ended' }));
    for (let i = 0; i < depth; i++) this.ask();
  }

  async next(): Promise<LaidOutStep> {
    while (this.answers.length === 0) await new Promise<void>((resolve) => (this.arrived = resolve));
    const [answer, after] = [this.answers.shift(), this.asked.shift()];
    if (!answer || !after) throw new RangeError('read-ahead: more steps were taken than asked for');
    if ('problem' in answer) throw new CheckpointError(answer.problem);
    this.ask();
    return { parts: answer.parts, after };
  }

  async close(): Promise<void> {
    this.worker.removeAllListeners();
    await this.worker.terminate();
  }

  private ask(): void {
    const { after, ...planned } = this.steps.next().value;
    this.asked.push(after);
    this.worker.postMessage(planned);
  }
}
