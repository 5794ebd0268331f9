import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { SledConfig } from '../model/config.js';
import type { CodecRecipe } from '../train/codec/codec-trainer.js';
import { runPrepare } from './prepare.js';
import type { TrainFlags, TrainingConfigs } from './run-training.js';
import { timeTogether, trainTogether, type TogetherFlags } from './train-together.js';
import { parseJson, trainingModule } from './training-module.js';
import { WorkBar } from './work-bar.js';
import type { World } from './world.js';

/** Steps that are timed before a run. */
const TIMED_STEPS = 3;

/** A line of a manifest, as far as it is looked at here. */
interface ManifestJson {
  duration: number;
  supervisions?: { text?: string; custom?: { texts?: string[] } }[];
  recording: { sources: { source: string }[] };
}

/** Where the stages of one voice are kept. */
interface Stages {
  from: string;
  out: string;
  work: string;
  /** The codec whose latents the network learns. */
  codec: string;
  /** Utterances trained on, held out, and seconds of the former. */
  lines: number;
  heldOut: number;
  seconds: number;
}

/**
 * A voice of one's own from recordings, in the folder `out`: lists and checks them, holds sentences out, brings all to
 * one loudness, computes latents with the voice's codec, says how long it will take, trains the network and then the
 * codec's decoder, and writes what `say --model` takes.
 */
export async function runOwnVoice(world: World, recordings: string, flags: Partial<TogetherFlags>): Promise<void> {
  if (flags.from === undefined)
    throw new Error(`${recordings}: expected a config that ends with .json, or --from and a voice to begin with`);
  if (!existsSync(recordings)) throw new Error(`${recordings}: no such folder or manifest`);
  const started = performance.now();
  const from = flags.from;
  const out = flags.out ?? `${basename(resolve(recordings)).replace(/\.jsonl(\.gz)?$/, '')}-voice`;
  const work = join(out, 'work');
  mkdirSync(work, { recursive: true });
  const split = await splitManifest(world, recordings, work);
  const stages: Stages = { from, out, work, codec: flags.codec ?? join(from, 'codec'), ...split };
  const base = await readConfig(from);
  await prepareLatents(world, stages, base, flags);
  const configs = await configsOf(stages, flags);
  const recipe = await codecRecipe(stages, flags);
  const data = { data: join(work, 'latents', 'train'), heldOut: join(work, 'latents', 'held-out') };
  const training: TogetherFlags = { evaluateEvery: 100, saveEvery: 100, logEvery: 20, ...flags, ...data, out: join(work, 'run'), from }; // prettier-ignore
  if (!flags.quiet && !existsSync(training.out))
    world.stderr.write(`${await estimate(world, stages, { configs, training, recipe })}\n`);
  const { step, checkpoint } = await trainTogether(world, configs, training);
  const minutes = flags.minutes === undefined ? undefined : flags.minutes - (performance.now() - started) / 60_000;
  const isWhole = step >= configs.training.steps;
  const codec = recipe && isWhole ? await tuneCodec(world, stages, recipe, { ...flags, minutes }) : stages.codec;
  const { writeVoice } = await import('../train/write-voice.js');
  const { ownVoiceCard } = await import('../train/own-voice.js');
  const command = `sled-tts train --from ${basename(from)} ${basename(resolve(recordings))}`;
  const facts = { from: basename(from), utterances: split.lines, heldOut: split.heldOut, hours: split.seconds / 3600, steps: step, command }; // prettier-ignore
  const vocabulary = base.text === 'bpe' ? from : undefined;
  const best = join(training.out, 'best');
  const blended = await blend(stages, existsSync(best) ? best : checkpoint);
  writeVoice(out, { checkpoint: blended, codec, vocabulary, card: ownVoiceCard(facts) });
  if (!flags.quiet) world.stdout.write(`${step} steps of ${configs.training.steps}: ${out}\n`);
}

/** Brings the recordings to one loudness and rate, aligns them with their texts, and computes their latents. */
async function prepareLatents(
  world: World,
  stages: Stages,
  base: SledConfig,
  { threads, quiet }: Partial<TrainFlags>,
): Promise<void> {
  const { work, from, codec, lines, heldOut } = stages;
  const { text } = base;
  const { levelRecordings } = await import('../data/level-recordings.js');
  const { openCodec } = await import('../codec/index.js');
  const { VOICE_LOUDNESS } = await import('../train/own-voice.js');
  const opened = openCodec(codec);
  const { sampleRate } = opened;
  opened.free();
  const bar = new WorkBar(world.stderr, { total: lines + heldOut, quiet });
  let done = 0;
  try {
    for (const part of ['train', 'held-out'])
      await levelRecordings({
        manifest: join(work, `${part}.jsonl`),
        out: join(work, 'levelled', `${part}.jsonl`),
        sampleRate,
        loudness: VOICE_LOUDNESS,
        signal: world.signal,
        onProgress: () => bar.update(++done, `${done} recordings brought to ${VOICE_LOUDNESS} LUFS`),
      });
  } finally {
    bar.stop();
  }
  const isAligned = guidesAttention(base);
  if (isAligned) await alignTexts(world, stages, quiet);
  const vocabulary = text === 'bpe' ? from : undefined;
  for (const part of ['train', 'held-out'])
    await runPrepare(world, [join(work, isAligned && part === 'train' ? 'aligned' : 'levelled', `${part}.jsonl`)], { out: join(work, 'latents', part), codec, text, vocabulary, rank: 0, ranks: 1, threads, quiet }); // prettier-ignore
}

/** Whether the voice has heads that were taught which phoneme sounds, and so can be taught further. */
const guidesAttention = ({ text, alignmentHeads }: SledConfig) => text === 'phonemes-en' && alignmentHeads.length > 0;

/** Finds when each phoneme of the recordings sounds. */
async function alignTexts(world: World, { work, lines }: Stages, quiet: boolean | undefined): Promise<void> {
  const { alignRecordings } = await import('../data/align-recordings.js');
  const { phonemeTokens } = await import('../text/phonemes.js');
  const bar = new WorkBar(world.stderr, { total: lines, quiet });
  try {
    await alignRecordings({
      manifest: join(work, 'levelled', 'train.jsonl'),
      out: join(work, 'aligned', 'train.jsonl'),
      phonemesOf: phonemeTokens,
      signal: world.signal,
      onProgress: (done) => bar.update(done, `${done} recordings aligned with their texts`),
    });
  } finally {
    bar.stop();
  }
}

/** Takes a checkpoint part of the way back to the voice that it began with. Returns the model's folder. */
async function blend({ from, work }: Stages, tuned: string): Promise<string> {
  const { blendModels } = await import('../train/blend.js');
  const { keptShare } = await import('../train/own-voice.js');
  const out = join(work, 'blended');
  blendModels(out, { base: from, tuned, shareOf: keptShare });
  return out;
}

/** How the codec's decoder is fine-tuned; undefined where the codec is none of ours. */
async function codecRecipe({ codec, seconds }: Stages, { steps, seed }: Partial<TrainFlags>) {
  const path = join(codec, 'config.json');
  const { codecType } = parseJson(readFileSync(path, 'utf8'), path) as { codecType?: unknown };
  if (codecType !== 'mel') return undefined;
  const { ownVoiceCodec } = await import('../train/own-voice.js');
  const recipe = ownVoiceCodec(seconds);
  return { ...recipe, steps: Math.min(recipe.steps, steps ?? Infinity), seed: seed ?? recipe.seed };
}

/** Fine-tunes the decoder of the codec; its latents stay what they are. Returns the folder of the new codec. */
async function tuneCodec(
  world: World,
  { work, codec }: Stages,
  recipe: CodecRecipe,
  { minutes, threads, quiet }: Partial<TrainFlags>,
): Promise<string> {
  const { trainCodec } = await import('../train/codec/train.js');
  const out = join(work, 'codec');
  await trainCodec({
    manifests: [join(work, 'levelled', 'train.jsonl')],
    out,
    from: codec,
    recipe,
    minutes,
    threads: threads ?? availableParallelism(),
    resume: existsSync(join(out, 'checkpoint.safetensors')),
    signal: world.signal,
    log: quiet ? undefined : (line) => void world.stderr.write(`codec ${line}\n`),
  });
  return out;
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
  const { train, heldOut } = splitByText(lines, textOf);
  if (train.length === 0) throw new Error(`${recordings}: expected recordings of at least two sentences`);
  for (const [name, part] of Object.entries({ train, 'held-out': heldOut }))
    writeWhole(join(work, `${name}.jsonl`), part.map((line) => Buffer.from(`${JSON.stringify(line)}\n`))); // prettier-ignore
  const seconds = train.reduce((sum, { duration }) => sum + duration, 0);
  return { lines: train.length, heldOut: heldOut.length, seconds };
}

const textOf = ({ supervisions }: ManifestJson) =>
  supervisions?.[0]?.text ?? supervisions?.[0]?.custom?.texts?.[0] ?? '';

function absolute<T extends ManifestJson>(line: T, folder: string): T {
  const sources = line.recording.sources.map((one) => ({ ...one, source: resolve(folder, one.source) }));
  return { ...line, recording: { ...line.recording, sources } };
}

async function readConfig(from: string) {
  const { parseConfig } = await import('../model/config.js');
  const path = join(from, 'config.json');
  return parseConfig(parseJson(readFileSync(path, 'utf8'), path), path);
}

async function configsOf({ from, seconds }: Stages, { steps, seed }: Partial<TrainFlags>): Promise<TrainingConfigs> {
  const { decayStepsOf, ownVoiceModel, ownVoiceRecipe } = await import('../train/own-voice.js');
  const base = await readConfig(from);
  const recipe = ownVoiceRecipe(seconds, guidesAttention(base) ? base.alignmentHeads : []);
  const length = steps ?? recipe.steps;
  const shorter = {
    steps: length,
    warmupSteps: Math.min(recipe.warmupSteps, length),
    decaySteps: decayStepsOf(length),
  };
  return {
    model: ownVoiceModel(base),
    training: { ...recipe, ...shorter, seed: seed ?? recipe.seed },
  };
}

/** What is timed before it starts. */
interface Planned {
  configs: TrainingConfigs;
  training: TogetherFlags;
  recipe: CodecRecipe | undefined;
}

/** Says how long a run takes by a few steps of one that is thrown away. */
async function estimate(world: World, stages: Stages, planned: Planned): Promise<string> {
  const out = mkdtempSync(join(stages.work, 'timing-'));
  try {
    const { configs, training } = planned;
    const timed = await timeTogether(world, configs, training, { steps: TIMED_STEPS, out: join(out, 'network') });
    const network = (timed / TIMED_STEPS) * configs.training.steps;
    const codec = await timeCodec(join(out, 'codec'), stages, planned);
    const { lines, seconds } = stages;
    const steps = `${configs.training.steps} steps${planned.recipe ? ` and ${planned.recipe.steps} of the codec` : ''}`;
    return `${lines} utterances, ${(seconds / 3600).toFixed(2)} hours: ${steps}, ${about((network + codec) / 60)}; Ctrl-C stops with a checkpoint, the same command goes on`; // prettier-ignore
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

const about = (minutes: number) => {
  if (minutes < 1) return 'less than a minute';
  return `about ${minutes < 90 ? `${Math.round(minutes)} minutes` : `${(minutes / 60).toFixed(1)} hours`}`;
};

/** Seconds that the codec's steps will take. */
async function timeCodec(out: string, { codec, work }: Stages, { recipe, training: { threads } }: Planned) {
  if (!recipe) return 0;
  const { trainCodec } = await import('../train/codec/train.js');
  const manifests = [join(work, 'levelled', 'train.jsonl')];
  const timed = { manifests, out, from: codec, recipe: { ...recipe, steps: TIMED_STEPS }, threads: threads ?? availableParallelism() }; // prettier-ignore
  const { seconds } = await trainCodec(timed);
  return (seconds / TIMED_STEPS) * recipe.steps;
}
