import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { TrainOptions } from '../train/train.js';
import { runPrepare } from './prepare.js';
import { runTraining, type TrainFlags, type TrainingConfigs } from './run-training.js';
import { parseJson, trainingModule } from './training-module.js';
import type { World } from './world.js';

/** Steps that are timed before a run. */
const TIMED_STEPS = 3;

/** A line of a manifest, as far as it is looked at here. */
interface ManifestJson {
  duration: number;
  supervisions?: { text?: string; custom?: { texts?: string[] } }[];
  recording: { sources: { source: string }[] };
}

/**
 * A voice of one's own from recordings, in the folder `out`: lists and checks them, holds sentences out, computes
 * latents with the voice's codec, says how long it will take, trains, and writes what `say --model` takes.
 */
export async function runOwnVoice(world: World, recordings: string, flags: Partial<TrainFlags>): Promise<void> {
  if (flags.from === undefined)
    throw new Error(`${recordings}: expected a config that ends with .json, or --from and a voice to begin with`);
  if (!existsSync(recordings)) throw new Error(`${recordings}: no such folder or manifest`);
  const from = flags.from;
  const out = flags.out ?? `${basename(resolve(recordings)).replace(/\.jsonl(\.gz)?$/, '')}-voice`;
  const work = join(out, 'work');
  mkdirSync(work, { recursive: true });
  const codec = flags.codec ?? join(from, 'codec');
  const { train: lines, heldOut, seconds } = await splitManifest(world, recordings, work);
  const text = await textOf(from);
  for (const part of ['train', 'held-out'])
    await runPrepare(world, [join(work, `${part}.jsonl`)], {
      out: join(work, part),
      codec,
      text,
      vocabulary: text === 'bpe' ? from : undefined,
      rank: 0,
      ranks: 1,
      threads: flags.threads,
      quiet: true,
    });
  const configs = await configsOf(from, seconds, flags);
  const data = { data: join(work, 'train'), heldOut: join(work, 'held-out'), out: join(work, 'run'), from };
  const training: TrainFlags = { evaluateEvery: 100, saveEvery: 100, logEvery: 20, ...flags, ...data };
  if (!flags.quiet && !existsSync(training.out))
    world.stderr.write(`${await estimate(configs, training, lines, seconds)}\n`);
  const { step, checkpoint } = await runTraining(world, configs, training);
  const { writeVoice } = await import('../train/write-voice.js');
  const { ownVoiceCard } = await import('../train/own-voice.js');
  const command = `sled-tts train --from ${basename(from)} ${basename(resolve(recordings))}`;
  const facts = { from: basename(from), utterances: lines, heldOut, hours: seconds / 3600, steps: step, command };
  const vocabulary = text === 'bpe' ? from : undefined;
  writeVoice(out, { checkpoint, codec, vocabulary, card: ownVoiceCard(facts) });
  if (!flags.quiet) world.stdout.write(`${step} steps of ${configs.training.steps}: ${out}\n`);
}

/** Writes `train.jsonl` and `held-out.jsonl` with absolute sources, once every line is known to be right. */
async function splitManifest(world: World, recordings: string, work: string) {
  const { makeManifest } = await trainingModule(() => import('../data/make-manifest.js'));
  const { checkManifest } = await import('../data/check-manifest.js');
  const { manifestLines } = await import('../data/manifest.js');
  const { splitByText } = await import('../train/own-voice.js');
  const { writeWhole } = await import('../model/safetensors.js');
  const lines: ManifestJson[] = [];
  if (statSync(recordings).isDirectory()) {
    const onMissing = (problem: string) => void world.stderr.write(`sled-tts: ${problem}; left out\n`);
    for await (const line of makeManifest(recordings, { onMissing })) lines.push(absolute(line, resolve(recordings)));
  } else {
    const problems: string[] = [];
    await checkManifest(recordings, {}, (problem) => problems.push(problem));
    if (problems.length > 0)
      throw new Error(`${problems[0]}${problems.length > 1 ? `; ${problems.length - 1} more, see sled-tts manifest check` : ''}`); // prettier-ignore
    for await (const { line } of manifestLines(recordings))
      lines.push(absolute(JSON.parse(line) as ManifestJson, resolve(dirname(recordings))));
  }
  const { train, heldOut } = splitByText(lines, ({ supervisions }) => supervisions?.[0]?.text ?? '');
  if (train.length === 0) throw new Error(`${recordings}: expected recordings of at least two sentences`);
  for (const [name, part] of Object.entries({ train, 'held-out': heldOut }))
    writeWhole(join(work, `${name}.jsonl`), part.map((line) => Buffer.from(`${JSON.stringify(line)}\n`))); // prettier-ignore
  const seconds = train.reduce((sum, { duration }) => sum + duration, 0);
  return { train: train.length, heldOut: heldOut.length, seconds };
}

function absolute<T extends ManifestJson>(line: T, folder: string): T {
  const sources = line.recording.sources.map((one) => ({ ...one, source: resolve(folder, one.source) }));
  return { ...line, recording: { ...line.recording, sources } };
}

async function textOf(from: string): Promise<'bpe' | 'phonemes-en'> {
  return (await readConfig(from)).text;
}

async function readConfig(from: string) {
  const { parseConfig } = await import('../model/config.js');
  const path = join(from, 'config.json');
  return parseConfig(parseJson(readFileSync(path, 'utf8'), path), path);
}

async function configsOf(
  from: string,
  seconds: number,
  { steps, seed }: Partial<TrainFlags>,
): Promise<TrainingConfigs> {
  const { ownVoiceModel, ownVoiceRecipe } = await import('../train/own-voice.js');
  const recipe = ownVoiceRecipe(seconds);
  const length = steps ?? recipe.steps;
  const shorter = {
    steps: length,
    warmupSteps: Math.min(recipe.warmupSteps, length),
    decaySteps: Math.ceil(length / 2),
  };
  return {
    model: ownVoiceModel(await readConfig(from)),
    training: { ...recipe, ...shorter, seed: seed ?? recipe.seed },
  };
}

/** Times a few steps of a run that is thrown away. */
async function estimate({ model, training }: TrainingConfigs, flags: TrainFlags, utterances: number, seconds: number) {
  const { train } = await import('../train/train.js');
  const { openShards } = await import('../data/shards.js');
  const data = openShards(flags.data, model);
  const out = mkdtempSync(join(dirname(flags.out), 'timing-'));
  try {
    const timed: TrainOptions = { data, frameRate: data.info.sampleRate / data.info.hopLength, out, model, training: { ...training, steps: TIMED_STEPS }, from: flags.from, threads: flags.threads }; // prettier-ignore
    const loop = await train(timed);
    const minutes = ((loop.seconds / TIMED_STEPS) * training.steps) / 60;
    const about = minutes < 1 ? 'less than a minute' : `about ${minutes < 90 ? `${Math.round(minutes)} minutes` : `${(minutes / 60).toFixed(1)} hours`}`; // prettier-ignore
    return `${utterances} utterances, ${(seconds / 3600).toFixed(2)} hours: ${training.steps} steps, ${about}; Ctrl-C stops with a checkpoint, the same command goes on`;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
