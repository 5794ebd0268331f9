import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { debugOption, integer, number, quietOption, threadsOption } from './options.js';
import { parseJson, trainingModule } from './training-module.js';
import type { EventWriter } from '../train/tensorboard.js';
import type { World } from './world.js';

interface TrainFlags {
  data: string;
  heldOut?: string;
  out: string;
  from?: string;
  minutes?: number;
  steps?: number;
  seed?: number;
  logEvery?: number;
  evaluateEvery?: number;
  saveEvery?: number;
  keep?: number;
  codec?: string;
  sample?: string[];
  threads?: number;
  quiet?: boolean;
}

/** `train`: a model from prepared shards; the same command again goes on from the last checkpoint. */
export function trainCommand(world: World): Command {
  const count = integer(1, 100_000_000);
  return new Command('train')
    .description('train a model on prepared shards, or go on with it')
    .argument('<config>', 'JSON file with the parts "model" and "training"')
    .requiredOption('--data <folder>', 'shards that prepare made')
    .requiredOption('--out <folder>', 'folder of the checkpoints and of the TensorBoard events')
    .option('--held-out <folder>', 'shards that are evaluated on and never trained on')
    .option('--from <folder>', 'a checkpoint whose weights a new run begins with')
    .option('--minutes <number>', 'stop after this time, with a checkpoint', number(0, 1e6))
    .option('--steps <number>', "length of the schedule, in place of the config's", count)
    .option('--seed <number>', "seed of the run, in place of the config's", integer(0, 2 ** 32 - 1))
    .option('--log-every <steps>', 'steps a line', count)
    .option('--evaluate-every <steps>', 'steps between two evaluations', count)
    .option('--save-every <steps>', 'steps between two checkpoints', count)
    .option('--keep <number>', 'checkpoints kept', count)
    .option('--codec <folder>', 'the codec that sample sentences are heard through')
    .option('--sample <text...>', 'sentences to speak at every checkpoint; needs --codec')
    .addOption(threadsOption())
    .addOption(quietOption())
    .addOption(debugOption())
    .action((config: string, flags: TrainFlags) => run(world, config, flags));
}

async function run(world: World, configPath: string, flags: TrainFlags): Promise<void> {
  if (flags.sample && !flags.codec) throw new Error('--sample: needs --codec, which the sentences are heard through');
  const { train } = await trainingModule(() => import('../train/train.js'));
  const { model, training } = await readConfigs(configPath, flags);
  const { openShards } = await import('../data/shards.js');
  const data = openShards(flags.data);
  const heldOut = flags.heldOut === undefined ? undefined : openShards(flags.heldOut);
  const events = await lazyEvents(flags.out);
  try {
    const { step } = await train({
      ...flags,
      data,
      heldOut,
      frameRate: data.info.sampleRate / data.info.hopLength,
      model,
      training,
      signal: world.signal,
      onLine: flags.quiet ? undefined : (line) => void world.stderr.write(`${line}\n`),
      onScalars: (scalars, at) => {
        for (const [name, value] of Object.entries(scalars)) events.writer().scalar(`train/${name}`, value, at);
        events.writer().flush();
      },
      onCheckpoint: (folder, at) => samples(flags, events.writer, folder, at),
    });
    if (!flags.quiet) world.stdout.write(`${step} steps of ${training.steps}: ${flags.out}\n`);
  } finally {
    events.close();
  }
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

async function readConfigs(path: string, { steps, seed }: TrainFlags) {
  const { parseConfig } = await import('../model/config.js');
  const { parseTrainingConfig } = await trainingModule(() => import('../train/training-config.js'));
  const json = parseJson(await readFile(path, 'utf8'), path) as { model?: unknown; training?: object };
  const changes = { ...(steps === undefined ? {} : { steps }), ...(seed === undefined ? {} : { seed }) };
  return {
    model: parseConfig(json.model, `${path}: model`),
    training: parseTrainingConfig({ ...json.training, ...changes }, `${path}: training`),
  };
}
