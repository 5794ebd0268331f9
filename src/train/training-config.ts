import { CheckpointError } from '../model/errors.js';
import type { TrunkInit } from './parameters.js';

/**
 * What is computed and kept in which type; losses and norms are float32 in all, as is the codec.
 * `f32`: everything float32. `bf16`: matrix products in bfloat16; weights, gradients, optimiser and the residual stream
 * float32. `pure-bf16`: weights, gradients, optimiser and residual stream bfloat16 too, updates rounded stochastically.
 */
export const PRECISIONS = ['f32', 'bf16', 'pure-bf16'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** How a model is trained; what the model is stands in `SledConfig`. */
export interface TrainingConfig {
  seed: number;
  /** Budget of a step's batch, all ranks together: longest utterance times utterances, seconds of speech. */
  maxSecondsPerBatch: number;
  /** Parts that each rank computes its share of a batch in, one after another: less memory, the same result. */
  microBatches: number;
  /** Utterances sorted by length together. */
  groupSize: number;
  /** The schedule's length; training stops there. */
  steps: number;
  /** Steps of linear rise from zero. */
  warmupSteps: number;
  /** Steps of linear fall to zero at the end. */
  decaySteps: number;
  /** AdamW's rate. */
  learningRate: number;
  /** Muon's rate for the hidden matrices; 0 leaves them to AdamW. */
  matrixLearningRate: number;
  /** Applied to everything but norms and biases. */
  weightDecay: number;
  beta1: number;
  beta2: number;
  /** Largest gradient norm. */
  clip: number;
  /** A step whose gradient norm is so many times the usual is left out; 0 leaves out only what is not finite. */
  spikeFactor: number;
  /** Decay of the averaged weights a step; 0 keeps none. */
  emaDecay: number;
  precision: Precision;
  trunkInit: TrunkInit;
  /** Weight of the one positive end-of-speech label. */
  endPositiveWeight: number;
  /** Largest deviation of the noise on input frames; 0 for none. */
  latentNoise: number;
  /** Weight of the alignment loss of guided heads; 0 for none. */
  alignmentWeight: number;
  /** [layer, head] of each guided head. */
  guidedHeads: [number, number][];
}

/** The paper's released recipe, but for its 512 utterances a step. */
export const DEFAULT_TRAINING: TrainingConfig = {
  seed: 0,
  maxSecondsPerBatch: 64,
  microBatches: 1,
  groupSize: 800,
  steps: 300_000,
  warmupSteps: 32_000,
  decaySteps: 268_000,
  learningRate: 5e-4,
  matrixLearningRate: 0,
  weightDecay: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  clip: 1,
  spikeFactor: 0,
  emaDecay: 0,
  precision: 'bf16',
  trunkInit: 'released',
  endPositiveWeight: 100,
  latentNoise: 0,
  alignmentWeight: 0,
  guidedHeads: [],
};

/**
 * Parses the `training` part of a config file.
 * @throws {CheckpointError} for unknown keys and values of the wrong type, all at once
 */
export function parseTrainingConfig(json: unknown, source = 'training'): TrainingConfig {
  if (typeof json !== 'object' || json === null) throw new CheckpointError(`${source}: expected an object`);
  const problems: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    const fallback = DEFAULT_TRAINING[key as keyof TrainingConfig];
    if (fallback === undefined) problems.push(`unknown key ${key}`);
    else if (typeof value !== typeof fallback || Array.isArray(value) !== Array.isArray(fallback))
      problems.push(
        `${key}: expected a ${typeof fallback} like ${JSON.stringify(fallback)}, got ${JSON.stringify(value)}`,
      );
    else if (typeof value === 'number' && !(Number.isFinite(value) && value >= 0))
      problems.push(`${key}: expected a number from 0, got ${value}`);
  }
  const config = { ...DEFAULT_TRAINING, ...json };
  if (!PRECISIONS.includes(config.precision))
    problems.push(`precision: expected one of ${PRECISIONS.join(', ')}, got ${config.precision}`);
  if (!['released', 'xavier'].includes(config.trunkInit))
    problems.push(`trunkInit: expected released or xavier, got ${config.trunkInit}`);
  if (!(Number.isInteger(config.microBatches) && config.microBatches >= 1))
    problems.push(`microBatches: expected a whole number from 1, got ${config.microBatches}`);
  if (problems.length > 0) throw new CheckpointError(`${source}: ${problems.join('; ')}`);
  return config;
}

/** The rate's factor at a step (from 0): linear rise, plateau, linear fall to zero at `steps`. */
export function scheduleFactor(step: number, { steps, warmupSteps, decaySteps }: TrainingConfig): number {
  const rise = warmupSteps > 0 ? step / warmupSteps : 1;
  const fall = decaySteps > 0 ? (steps - step) / decaySteps : 1;
  return Math.max(0, Math.min(1, rise, fall));
}
