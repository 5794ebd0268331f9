import type { SledConfig } from '../model/config.js';
import { DEFAULT_RECIPE, type CodecRecipe } from './codec/codec-trainer.js';
import { DEFAULT_TRAINING, type TrainingConfig } from './training-config.js';

/** LUFS of the shipped voice, and so of the recordings that it is to learn: loudness is not what it should learn. */
export const VOICE_LOUDNESS = -26;
/** About what share of the sentences is held out. */
const HELD_OUT_SHARE = 1 / 20;
/** Times that every recording is heard. */
const EPOCHS = 7;
const MIN_STEPS = 400;
const MAX_STEPS = 8000;
const SECONDS_PER_BATCH = 16;
/** Of all steps, those in which the rates fall. */
export const decayStepsOf = (steps: number): number => Math.ceil(0.6 * steps);
/** More than the shipped voice's 0.2: its other losses were half of what they are on recordings. */
const ALIGNMENT_WEIGHT = 0.5;

/**
 * How a finished voice is moved to other recordings: at the rates that it was trained with, its attention guided as
 * then, with averaged weights. Lower rates learn the same more slowly (docs/log.md).
 * @param seconds of speech to train on
 * @param guidedHeads the voice's heads that were taught which phoneme sounds
 */
export function ownVoiceRecipe(seconds: number, guidedHeads: SledConfig['alignmentHeads']): TrainingConfig {
  const heard = Math.round((EPOCHS * seconds) / SECONDS_PER_BATCH / 100) * 100;
  const steps = Math.min(MAX_STEPS, Math.max(MIN_STEPS, heard));
  return {
    ...DEFAULT_TRAINING,
    maxSecondsPerBatch: SECONDS_PER_BATCH,
    groupSize: 200,
    steps,
    warmupSteps: Math.min(50, Math.ceil(steps / 10)),
    decaySteps: decayStepsOf(steps),
    learningRate: 1e-3,
    matrixLearningRate: 4e-3,
    beta2: 0.99,
    emaDecay: 0.99,
    latentNoise: 0.2,
    endPositiveWeight: 3,
    alignmentWeight: guidedHeads.length > 0 ? ALIGNMENT_WEIGHT : 0,
    guidedHeads: guidedHeads.map(([layer, head]) => [layer, head]),
  };
}

/** Of what training changed, the share that a voice keeps (measured: docs/log.md). */
const KEPT = { trunk: 0.7, frames: 0.9 };

/**
 * Of what training changed in a parameter, the share that a voice keeps. How a person sounds is learned by what hears
 * and draws frames, and nearly all of it kept; the trunk, which reads, goes further back to a voice that has read more.
 */
export const keptShare = (name: string): number =>
  /^(textEmbedding|layers|outputNorm)\b/.test(name) ? KEPT.trunk : KEPT.frames;

/** Steps of the codec's decoder, whose batches are 8 crops of a second: the recordings once, within these bounds. */
const CODEC_STEPS = { least: 200, most: 400 };

/**
 * How the codec's decoder is moved to other recordings. Its analysis, and with it what a latent means, stays.
 * @param seconds of speech to train on
 */
export function ownVoiceCodec(seconds: number): CodecRecipe {
  const steps = Math.round(seconds / DEFAULT_RECIPE.batchSize);
  return {
    ...DEFAULT_RECIPE,
    steps: Math.min(CODEC_STEPS.most, Math.max(CODEC_STEPS.least, steps)),
    warmupSteps: 50,
    learningRate: 3e-4,
  };
}

/** The model's sizes with the dropout of fine-tuning: a little, and of the text what guidance needs. */
export const ownVoiceModel = (config: SledConfig): SledConfig => ({
  ...config,
  guidanceDropout: Math.max(config.guidanceDropout, 0.1),
  dropout: 0.1,
});

/**
 * Parts lines into those to train on and those held out, by their text: a sentence that was read twice is on one side.
 * At least one sentence is held out; the same text always falls on the same side.
 */
export function splitByText<T>(lines: readonly T[], textOf: (line: T) => string): { train: T[]; heldOut: T[] } {
  const ranks = new Map(lines.map((line) => [textOf(line), fraction(textOf(line))]));
  const smallest = Math.min(...ranks.values());
  const isHeldOut = (line: T) => {
    const rank = ranks.get(textOf(line)) ?? 1;
    return rank < HELD_OUT_SHARE || rank === smallest;
  };
  return { train: lines.filter((line) => !isHeldOut(line)), heldOut: lines.filter(isHeldOut) };
}

/** FNV-1a of a text, in [0, 1). */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b); // the last bytes reach the high bits
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

/** What README.md of such a voice says. */
export function ownVoiceCard(facts: {
  from: string;
  utterances: number;
  heldOut: number;
  hours: number;
  steps: number;
  command: string;
}): string {
  const { from, utterances, heldOut, hours, steps, command } = facts;
  return `# A voice of one's own

Fine-tuned from \`${from}\` with \`${command}\`.

| | |
|---|---|
| recordings | ${utterances} utterances, ${hours.toFixed(2)} hours; ${heldOut} more were held out |
| training | ${steps} steps |
| licence | to be stated by whoever made the recordings |

Speak with it: \`sled-tts say --model FOLDER "…"\`. Use a person's voice only with that person's consent, and say that it is
synthetic where a listener could think otherwise.
`;
}
