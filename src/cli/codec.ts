import { Command } from 'commander';
import { debugOption, integer, number, quietOption, threadsOption } from './options.js';
import { trainingModule } from './training-module.js';
import type { World } from './world.js';

interface CodecTrainFlags {
  out: string;
  steps?: number;
  minutes?: number;
  seed?: number;
  threads?: number;
  resume?: boolean;
  quiet?: boolean;
}

/** `codec train`: a codec from recordings. */
export function codecCommand(world: World): Command {
  const command = new Command('codec').description('train a codec').helpCommand(false);
  const train = new Command('train')
    .description('fit the analysis and train the decoder on recordings')
    .argument('<manifests...>', "JSONL files of 16-bit mono WAV recordings at the codec's rate")
    .requiredOption('--out <folder>', 'folder of the codec and its checkpoint')
    .option('--resume', 'go on from the checkpoint in the folder')
    .option('--steps <number>', 'length of the whole run', integer(1, 100_000_000))
    .option('--minutes <number>', 'stop after this time, with a checkpoint', number(0, 1e6))
    .option('--seed <number>', 'seed of the run', integer(0, 2 ** 32 - 1))
    .addOption(threadsOption())
    .addOption(quietOption())
    .addOption(debugOption())
    .action((manifests: string[], flags: CodecTrainFlags) => run(world, manifests, flags));
  return command.addCommand(train);
}

async function run(world: World, manifests: string[], flags: CodecTrainFlags): Promise<void> {
  const { trainCodec } = await trainingModule(() => import('../train/codec/train.js'));
  const { steps, seed, out, minutes, threads, resume, quiet } = flags;
  const recipe = { ...(steps === undefined ? {} : { steps }), ...(seed === undefined ? {} : { seed }) };
  const result = await trainCodec({
    manifests,
    out,
    minutes,
    threads,
    resume,
    recipe,
    signal: world.signal,
    log: quiet ? undefined : (line) => void world.stderr.write(`${line}\n`),
  });
  if (!quiet) world.stdout.write(`${result.steps} steps, held out ${result.heldOut.toFixed(4)}: ${out}\n`);
}
