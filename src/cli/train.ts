import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { debugOption, integer, number, quietOption, threadsOption } from './options.js';
import { runLocalRanks } from './local-ranks.js';
import { runOwnVoice } from './own-voice.js';
import { deviceOfRank, groupFromEnvironment } from './rank-environment.js';
import { releasedFlagsHelp } from './released-flags.js';
import { runTraining, type TrainFlags, type TrainingConfigs } from './run-training.js';
import { parseJson, trainingModule } from './training-module.js';
import type { World } from './world.js';

/** The flags as they were given: which of them are needed depends on what is trained. */
type GivenFlags = Partial<TrainFlags> & { processes?: number; timeout: number; device: string };

/** `train`: a model from prepared shards, or a voice of one's own recordings; the same command again goes on. */
export function trainCommand(world: World): Command {
  const count = integer(1, 100_000_000);
  return new Command('train')
    .description('train a model on prepared shards, or a voice on recordings; the same command again goes on with it')
    .argument(
      '<what>',
      'a JSON file with the parts "model" and "training"; or, with --from, a folder or manifest of recordings',
    )
    .option('--data <folder>', 'shards that prepare made; needed with a config')
    .option('--out <folder>', 'folder of the checkpoints and of the TensorBoard events; needed with a config')
    .option('--held-out <folder>', 'shards that are evaluated on and never trained on')
    .option('--from <model>', 'a model whose weights a new run begins with: a run, a checkpoint, a voice or a hub id')
    .option('--text-per-turn <number>', "text tokens read a turn, in place of the config's", count)
    .option('--frames-per-turn <number>', "frames written a turn, in place of the config's", count)
    .option('--minutes <number>', 'stop after this time, with a checkpoint', number(0, 1e6))
    .option('--steps <number>', "length of the schedule, in place of the config's", count)
    .option('--seed <number>', "seed of the run, in place of the config's", integer(0, 2 ** 32 - 1))
    .option('--precision <type>', "f32, bf16 (weights float32) or pure-bf16, in place of the config's")
    .option('--log-every <steps>', 'steps a line', count)
    .option('--evaluate-every <steps>', 'steps between two evaluations', count)
    .option('--save-every <steps>', 'steps between two checkpoints', count)
    .option('--keep <number>', 'checkpoints kept', count)
    .option('--codec <folder>', 'the codec of the sample sentences, and of the voice that is written to OUT/voice')
    .option('--sample <text...>', 'sentences to speak at every checkpoint; needs --codec')
    .option('--processes <number>', 'processes on this machine, one thread each, that train together', integer(1, 512))
    .option('--timeout <seconds>', 'how long a process waits for the others', number(1, 86_400), 600)
    .option(
      '--device <name>',
      'where to train: cpu, cuda, or cuda:N; several processes of a machine each take the GPU of their number',
      'cpu',
    )
    .option('--prefetch <steps>', 'steps whose data a thread lays out ahead; 0 for none', integer(0, 1000), 4)
    .option('--dry-run', 'try the largest batch, say how long training would take, and write nothing')
    .addOption(threadsOption())
    .addOption(quietOption())
    .addOption(debugOption())
    .addHelpText('after', releasedFlagsHelp)
    .action((what: string, flags: GivenFlags) => run(world, what, flags));
}

async function run(world: World, what: string, given: GivenFlags): Promise<void> {
  const from = given.from === undefined ? undefined : await modelFolder(given.from, world);
  const group = groupFromEnvironment(process.env, given.timeout * 1000);
  const device = deviceOfRank(given.device, process.env);
  if (device !== 'cpu') (await trainingModule(() => import('../train/device.js'))).resolveDevice(device); // known before any work
  if (!what.endsWith('.json')) {
    if (given.dryRun) throw new Error(`${what}: --dry-run is for a config that ends with .json`);
    if (group)
      throw new Error(`${what}: recordings are prepared by one process; start it alone, with --processes for more`);
    return runOwnVoice(world, what, { ...given, from });
  }
  if (given.sample && !given.codec) throw new Error('--sample: needs --codec, which the sentences are heard through');
  const { data, out } = given;
  if (data === undefined || out === undefined) throw new Error('train: a config needs --data and --out');
  if (given.processes !== undefined && given.processes > 1 && !group)
    return runLocalRanks(rankCommand(process.argv.slice(1)), given.processes, world);
  const configs = await readConfigs(what, given);
  const { step, checkpoint } = await runTraining(world, configs, { ...given, from, data, out, group, device });
  if (given.dryRun || group?.rank) return;
  if (given.codec !== undefined && existsSync(join(checkpoint, 'model.safetensors'))) {
    const { writeVoice, VOCABULARY_FILES } = await import('../train/write-voice.js');
    const vocabulary = existsSync(join(data, VOCABULARY_FILES[0])) ? data : undefined;
    const card = `# A voice\n\nTrained with \`sled-tts train\`: ${step} steps.\n`;
    writeVoice(join(out, 'voice'), { checkpoint, codec: given.codec, vocabulary, card });
  }
  if (!given.quiet) world.stdout.write(`${step} steps of ${configs.training.steps}: ${out}\n`);
}

/** A run's last checkpoint, a model folder as it stands, or what a voice's name or a hub id stands for. */
async function modelFolder(name: string, { signal }: World): Promise<string> {
  const { listCheckpoints } = await trainingModule(() => import('../train/checkpoint.js'));
  const last = existsSync(name) && statSync(name).isDirectory() ? listCheckpoints(name).at(-1) : undefined;
  if (last !== undefined) return last;
  const { resolveModel } = await import('../generate/resolve-model.js');
  return resolveModel(name, { kind: 'model', signal });
}

/** The command of one rank: without `--processes`, which it learns from its environment. */
function rankCommand(command: readonly string[]): string[] {
  const at = command.indexOf('--processes');
  if (at >= 0) return command.toSpliced(at, 2);
  return command.filter((argument) => !argument.startsWith('--processes='));
}

async function readConfigs(path: string, flags: GivenFlags): Promise<TrainingConfigs> {
  const { parseConfig } = await import('../model/config.js');
  const { parseTrainingConfig } = await trainingModule(() => import('../train/training-config.js'));
  const json = parseJson(await readFile(path, 'utf8'), path) as { model?: object; training?: object };
  const { textPerTurn: stream_n, framesPerTurn: stream_m, steps, seed, precision } = flags;
  const training = parseTrainingConfig({ ...json.training, ...given({ steps, seed, precision }) }, `${path}: training`);
  const alignment_heads = training.alignmentWeight > 0 ? training.guidedHeads : [];
  const model = { alignment_heads, ...json.model, ...given({ stream_n, stream_m }) };
  return { model: parseConfig(model, `${path}: model`), training };
}

const given = (values: Record<string, number | string | undefined>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
