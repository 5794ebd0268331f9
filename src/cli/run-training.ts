import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { GroupOptions } from '@sled-tts/torch';
import type { SledConfig } from '../model/config.js';
import type { EventWriter } from '../train/tensorboard.js';
import type { TrainingConfig } from '../train/training-config.js';
import { trainingModule } from './training-module.js';
import type { World } from './world.js';

/** What `train` is given beside its config. */
export interface TrainFlags {
  data: string;
  heldOut?: string;
  out: string;
  from?: string;
  minutes?: number;
  steps?: number;
  seed?: number;
  precision?: string;
  textPerTurn?: number;
  framesPerTurn?: number;
  logEvery?: number;
  evaluateEvery?: number;
  saveEvery?: number;
  keep?: number;
  codec?: string;
  sample?: string[];
  threads?: number;
  /** cpu, cuda or cuda:N; the CPU when absent. */
  device?: string;
  prefetch?: number;
  /** The ranks that train together. */
  group?: GroupOptions;
  dryRun?: boolean;
  quiet?: boolean;
}

export interface TrainingConfigs {
  model: SledConfig;
  training: TrainingConfig;
}

/**
 * Trains on shards until the schedule's end, with log lines, events and sample sentences.
 * @returns steps done, and the last checkpoint
 */
export async function runTraining(
  world: World,
  { model, training }: TrainingConfigs,
  flags: TrainFlags,
): Promise<{ step: number; checkpoint: string }> {
  const { train } = await trainingModule(() => import('../train/train.js'));
  const { listCheckpoints } = await import('../train/checkpoint.js');
  const { copyVocabulary } = await import('../train/write-voice.js');
  const { openShards } = await import('../data/shards.js');
  const say = (line: string) => void (flags.quiet || flags.group?.rank || world.stderr.write(`${line}\n`));
  const open = (folder: string) => {
    const data = openShards(folder, model);
    if (data.dropped > 0) say(`${folder}: ${data.dropped} utterances of more than ${model.maxPositions} positions left out`); // prettier-ignore
    return data;
  };
  const data = open(flags.data);
  const heldOut = flags.heldOut === undefined ? undefined : open(flags.heldOut);
  const events = await lazyEvents(flags.out);
  try {
    const { step } = await train({
      ...flags,
      threads: flags.threads ?? (flags.group ? 1 : undefined),
      data,
      heldOut,
      frameRate: data.info.sampleRate / data.info.hopLength,
      model,
      training,
      signal: AbortSignal.any([world.signal, starterGone()]),
      onLine: say,
      onScalars: (scalars, at) => {
        for (const [name, value] of Object.entries(scalars)) events.writer().scalar(`train/${name}`, value, at);
        events.writer().flush();
      },
      onCheckpoint: (folder, at) => {
        copyVocabulary(flags.data, folder);
        return samples(flags, events.writer, folder, at);
      },
    });
    const checkpoint = existsSync(flags.out) ? listCheckpoints(flags.out).at(-1) : undefined;
    return { step, checkpoint: checkpoint ?? flags.out };
  } finally {
    events.close();
  }
}

/** Aborted when the process that started this rank is gone. */
function starterGone(): AbortSignal {
  const gone = new AbortController();
  if (process.channel) {
    process.once('disconnect', () => gone.abort(new Error('the process that started the ranks has gone')));
    process.channel.unref();
  }
  return gone.signal;
}

/** TensorBoard's events of a run, which go on where its last checkpoint stands; no file before there is something in it. */
async function lazyEvents(out: string) {
  const { EventWriter } = await import('../train/tensorboard.js');
  const { listCheckpoints } = await import('../train/checkpoint.js');
  const last = existsSync(out) ? listCheckpoints(out).at(-1) : undefined;
  const startStep = last === undefined ? undefined : Number(last.split('-').at(-1)) + 1;
  let writer: EventWriter | undefined;
  return {
    writer: () => (writer ??= new EventWriter(join(out, 'events'), { startStep })),
    close: () => writer?.close(),
  };
}

/** Speaks the sample sentences with a new checkpoint: WAV files, and audio for TensorBoard. */
async function samples(
  { codec, sample, out, threads }: TrainFlags,
  events: () => EventWriter,
  checkpoint: string,
  step: number,
) {
  if (!codec || !sample) return;
  const { speakSamples } = await import('../train/sample-sentences.js');
  const spoken = await speakSamples({ checkpoint, codec, sentences: sample, out: join(out, 'samples'), step, threads });
  for (const { name, samples, sampleRate } of spoken) events().audio(name, samples, sampleRate, step);
  events().flush();
}
