import { createHash } from 'node:crypto';
import { ProcessGroup, scope, tensor, type GradientSum, type GroupOptions } from '@sled-tts/torch';
import { CheckpointError } from '../model/errors.js';
import type { LoopState } from './checkpoint.js';
import type { Run } from './step.js';

/** The processes that train one model together; one process alone is rank 0 of 1. */
export interface Ranks {
  readonly rank: number;
  readonly size: number;
  /** Each number summed over all ranks. */
  sum(values: readonly number[]): number[];
  /** Sums the gradients; null in a process alone. */
  readonly gradients: GradientSum | null;
  leave(): void;
}

const ALONE: Ranks = { rank: 0, size: 1, sum: (values) => [...values], gradients: null, leave: () => {} };

const LOOP_KEYS = ['step', 'epoch', 'batch', 'frames', 'seconds', 'usualGradient', 'skipped', 'bestEnergy'] as const satisfies (keyof LoopState)[]; // prettier-ignore

/**
 * Joins the other ranks and gives every rank what rank 0 has: weights, averages, optimiser and loop.
 * @param settings everything the ranks must have been started with alike
 * @param open opens the run; only on rank 0 does it see checkpoints
 */
export async function joinRanks(
  group: GroupOptions | undefined,
  settings: unknown,
  open: (rank: number) => Run,
): Promise<{ ranks: Ranks; run: Run }> {
  if (!group || group.size === 1) return { ranks: ALONE, run: open(0) };
  const joined = await ProcessGroup.join(group);
  checkSettings(joined, settings);
  const run = open(joined.rank);
  share(joined, run);
  const sum = (values: readonly number[]) =>
    scope(() => [...joined.allReduce(tensor(Float64Array.from(values), [values.length])).toTypedArray()].map(Number));
  const gradients = joined.gradients([...run.model.parameters.values()]);
  return { ranks: { rank: joined.rank, size: joined.size, sum, gradients, leave: () => joined.leave() }, run };
}

function checkSettings(group: ProcessGroup, settings: unknown): void {
  const digest = createHash('sha256').update(JSON.stringify(settings)).digest().readUIntBE(0, 6);
  const first = fromFirst(group, [digest])[0];
  if (first !== digest)
    throw new CheckpointError(
      `train: rank ${group.rank} was started with another configuration or other data than rank 0`,
    );
}

/** Rank 0's numbers. */
function fromFirst(group: ProcessGroup, values: readonly number[]): number[] {
  return scope(() => {
    const numbers = tensor(Float64Array.from(values), [values.length]);
    return [...group.broadcast(numbers).toTypedArray()].map(Number);
  });
}

function share(group: ProcessGroup, { model, average, optimizer, loop }: Run): void {
  const tensors = [
    ...model.parameters.values(),
    ...(average?.parameters.values() ?? []),
    ...optimizer.state().values(),
  ];
  for (const shared of tensors) group.broadcast(shared);
  const values = fromFirst(group, LOOP_KEYS.map((key) => loop[key])); // prettier-ignore
  LOOP_KEYS.forEach((key, i) => (loop[key] = values[i]));
}
