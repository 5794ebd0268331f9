import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { keep, setNumThreads, tensor, type Tensor } from '@sled-tts/torch';
import { MelAnalysis } from '../../codec/mel/analysis.js';
import { DEFAULT_MEL_CODEC_CONFIG, type MelCodecConfig } from '../../codec/mel/config.js';
import type { WeightArray } from '../../codec/mel/decoder-weights.js';
import { readMelCodecFiles, writeMelCodecFiles, type MelCodecFiles } from '../../codec/mel/files.js';
import { loadCheckpoint, readRecipe, saveCheckpoint } from './checkpoint.js';
import { CodecTrainer, DEFAULT_RECIPE, type CodecRecipe, type StepLosses } from './codec-trainer.js';
import { readManifests, SpeechCorpus } from './corpus.js';
import { CropSampler, isHeldOut, type CropBatch } from './crops.js';
import { fitAnalysis } from './fit-analysis.js';

export interface TrainCodecOptions {
  /** JSONL manifests of 16-bit mono WAV files at the codec's sample rate. */
  readonly manifests: readonly string[];
  /** Directory of `config.json`, `model.safetensors` and `checkpoint.safetensors`. */
  readonly out: string;
  /** Sizes of a new codec; an existing directory keeps its own. */
  readonly config?: MelCodecConfig;
  /** Directory of a codec whose analysis a new one keeps, latents and all, and whose decoder it begins with. */
  readonly from?: string;
  /** Differences from the default recipe; a resumed run keeps the recipe that it began with, but for `steps`. */
  readonly recipe?: Partial<CodecRecipe>;
  /** Stop here with a checkpoint, however many steps are done. */
  readonly minutes?: number;
  /** Go on from `checkpoint.safetensors` in `out`. */
  readonly resume?: boolean;
  readonly threads?: number;
  readonly logEverySteps?: number;
  readonly checkpointEveryMinutes?: number;
  /** Stops with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly log?: (line: string) => void;
}

/** How a codec's training ended. */
export interface TrainedCodec {
  readonly steps: number;
  /** Spectral loss on unseen speech. */
  readonly heldOut: number;
  /** Time that the steps of this call took. */
  readonly seconds: number;
}

/**
 * Of what was learned. Noise stands for all that the decoder does not know of the speech, partials that its pitch
 * misses among it; heard, it is too much (measured: docs/log.md).
 */
const NOISE_LEVEL = 0.6;
/** Batches of unseen speech that the log's `held out` is measured on. */
const HELD_OUT_BATCHES = 4;

/**
 * Fits the analysis where `out` has none yet, then trains the decoder and keeps its averaged weights in `out`.
 *
 * @throws {CheckpointError} for files in `out` that do not fit. @throws {RangeError} for data that does not.
 */
export async function trainCodec(options: TrainCodecOptions): Promise<TrainedCodec> {
  const { out, log = () => {}, threads = 1 } = options;
  setNumThreads(threads);
  mkdirSync(out, { recursive: true });
  const checkpoint = join(out, 'checkpoint.safetensors');
  const begun = beginning(options);
  const config = begun?.config ?? options.config ?? DEFAULT_MEL_CODEC_CONFIG;
  const corpus = new SpeechCorpus(readManifests(options.manifests, config.sampleRate), config.sampleRate);
  try {
    const files = begun ?? fitted(out, corpus, config, log);
    const known = options.resume ? readRecipe(checkpoint) : { ...DEFAULT_RECIPE, ...options.recipe };
    const recipe = { ...known, steps: options.recipe?.steps ?? known.steps };
    const initial = options.from === undefined || !files.decoder ? undefined : trainable(files.decoder, config);
    const trainer = new CodecTrainer(config, recipe, initial);
    const { sampler, heldOut } = samplers(corpus, new MelAnalysis(config, files.map), trainer);
    if (options.resume) loadCheckpoint(checkpoint, trainer, sampler);
    return await run(trainer, sampler, heldOut, files, options);
  } finally {
    corpus.close();
  }
}

/** What is in `out`, or what a new codec there begins with; undefined where its analysis is still to be fitted. */
function beginning({ out, from }: TrainCodecOptions): MelCodecFiles | undefined {
  if (existsSync(join(out, 'model.safetensors'))) return readMelCodecFiles(out);
  return from === undefined ? undefined : readMelCodecFiles(from);
}

function fitted(out: string, corpus: SpeechCorpus, config: MelCodecConfig, log: (line: string) => void): MelCodecFiles {
  const { map, statistics, explained, frames } = fitAnalysis(corpus, config);
  log(`analysis fitted on ${frames} latent frames; ${(100 * explained).toFixed(2)} % of the variance kept`);
  const files = { config, map, statistics };
  writeMelCodecFiles(out, files);
  return files;
}

function samplers(
  corpus: SpeechCorpus,
  analysis: MelAnalysis,
  { recipe, decoder }: CodecTrainer,
): { sampler: CropSampler; heldOut: CropBatch[] } {
  const { batchSize, cropFrames, seed } = recipe;
  const options = { batchSize, cropFrames, context: decoder.context };
  const unseen = corpus.utterances.filter(isHeldOut);
  const seen = corpus.utterances.filter((utterance) => !isHeldOut(utterance));
  // A corpus too small to hold anything out is judged on itself.
  const judge = new CropSampler(corpus, analysis, unseen.length > 0 ? unseen : seen, { ...options, seed: 0 });
  return {
    sampler: new CropSampler(corpus, analysis, seen, { ...options, seed }),
    heldOut: Array.from({ length: HELD_OUT_BATCHES }, () => judge.next()),
  };
}

async function run(
  trainer: CodecTrainer,
  sampler: CropSampler,
  heldOut: CropBatch[],
  files: MelCodecFiles,
  options: TrainCodecOptions,
): Promise<TrainedCodec> {
  const { out, signal, minutes = Infinity, logEverySteps = 50, checkpointEveryMinutes = 3, log = () => {} } = options;
  const started = performance.now();
  const minutesSince = (time: number) => (performance.now() - time) / 60_000;
  const save = () => {
    saveCheckpoint(join(out, 'checkpoint.safetensors'), trainer, sampler);
    writeMelCodecFiles(out, { ...files, decoder: quieted(trainer.average, files.config) });
  };
  let saved = started;
  let sums = new LossMeans();
  while (trainer.step < trainer.recipe.steps && minutesSince(started) < minutes && !signal?.aborted) {
    sums.add(trainer.train(sampler.next()));
    if (trainer.step % logEverySteps === 0) {
      log(sums.line(trainer, trainer.evaluate(heldOut)));
      sums = new LossMeans();
    }
    if (minutesSince(saved) >= checkpointEveryMinutes) {
      save();
      saved = performance.now();
    }
    await setImmediate(); // lets signals in
  }
  const seconds = (performance.now() - started) / 1000;
  save();
  return { steps: trainer.step, heldOut: trainer.evaluate(heldOut), seconds };
}

/** The weights as they are kept, with the source's noise at `NOISE_LEVEL`. */
function quieted(weights: ReadonlyMap<string, Tensor>, config: MelCodecConfig): Map<string, WeightArray> {
  const arrays = new Map(
    [...weights].map(([name, weight]) => [name, { shape: weight.shape, values: weight.toFloat32Array() }] as const),
  );
  changeNoise(arrays, NOISE_LEVEL, config);
  return arrays;
}

/** A kept decoder's weights to go on with, its noise as it was learned. */
function trainable(decoder: ReadonlyMap<string, WeightArray>, config: MelCodecConfig): Map<string, Tensor> {
  const arrays = new Map([...decoder].map(([name, { shape, values }]) => [name, { shape, values: values.slice() }]));
  changeNoise(arrays, 1 / NOISE_LEVEL, config);
  return new Map(
    [...arrays].map(([name, { shape, values }]) => [name, keep(tensor(values, [...shape])).requiresGrad_()]),
  );
}

/** Multiplies the noise filter of a source, in place. */
function changeNoise(
  arrays: ReadonlyMap<string, WeightArray>,
  factor: number,
  { decoderSource, fftSize }: MelCodecConfig,
): void {
  if (decoderSource === 'none') return;
  const bins = fftSize / 2 + 1;
  const logMagnitudes = arrays.get('output.bias')!.values.subarray(2 * bins, 3 * bins);
  logMagnitudes.forEach((bias, i) => (logMagnitudes[i] = bias + Math.log(factor)));
}

const COLUMNS: readonly (keyof StepLosses)[] = ['spectral', 'pitch'];

/** Mean losses since the last line. */
class LossMeans {
  private readonly values = new Map<keyof StepLosses, number[]>();
  private count = 0;
  private readonly started = performance.now();

  add(losses: StepLosses): void {
    this.count++;
    for (const name of COLUMNS) {
      const value = losses[name];
      if (value !== undefined) this.values.set(name, [...(this.values.get(name) ?? []), value]);
    }
  }

  line({ step, recipe, optimizer }: CodecTrainer, heldOut: number): string {
    const means = COLUMNS.map((name) => {
      const values = this.values.get(name);
      const mean = values ? (values.reduce((a, b) => a + b) / values.length).toFixed(3) : '-';
      return `${name} ${mean.padStart(6)}`;
    });
    const seconds = (performance.now() - this.started) / 1000 / this.count;
    return [
      `step ${String(step).padStart(6)}/${recipe.steps}`,
      ...means,
      `held out ${heldOut.toFixed(4)}`,
      `rate ${optimizer.groups[0].lr.toExponential(2)}`,
      `${seconds.toFixed(3)} s/step`,
    ].join('  ');
  }
}
