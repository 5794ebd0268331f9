import { CheckpointError } from './errors.js';

/** How text becomes token ids. */
export type TextKind = 'bpe' | 'phonemes-en';

/** Every size of a SLED network. Letters: C width, H heads, D latentDim, W headWidth. */
export interface SledConfig {
  vocabSize: number;
  /** C: channels of the trunk. */
  width: number;
  layers: number;
  heads: number;
  ffnWidth: number;
  /** Longest sequence, text and frames together. */
  maxPositions: number;
  ropeTheta: number;
  normEps: number;
  /** D: channels of a latent frame. */
  latentDim: number;
  /** W: channels of the energy head. */
  headWidth: number;
  headDepth: number;
  /** N: channels of the energy head's noise. */
  noiseDim: number;
  /** Probability that a training sample loses its text. */
  guidanceDropout: number;
  dropout: number;
  attentionDropout: number;
  activationDropout: number;
  /** Text tokens read a turn; Infinity is the offline model: one endless turn. */
  textPerTurn: number;
  /** Frames written a turn. */
  framesPerTurn: number;
  bosId: number;
  eosId: number;
  text: TextKind;
  /** Guidance scale that the model speaks best with. */
  guidanceScale: number;
  /** Deviation of the energy head's noise that the model speaks best with; it was trained with 1. */
  temperature: number;
  /** [layer, head] of each head that was taught to look at the text that sounds, which word timings are read from. */
  alignmentHeads: readonly (readonly [number, number])[];
}

type Field = { [K in keyof SledConfig]: { key: K; fallback?: SledConfig[K] } }[keyof SledConfig];

/** Released name -> ours, and the value that an absent key stands for. Keys without one must be there. */
const FIELDS: Record<string, Field> = {
  vocab_size: { key: 'vocabSize' },
  hidden_size: { key: 'width' },
  num_hidden_layers: { key: 'layers' },
  num_attention_heads: { key: 'heads' },
  intermediate_size: { key: 'ffnWidth' },
  max_position_embeddings: { key: 'maxPositions', fallback: 2048 },
  rope_theta: { key: 'ropeTheta', fallback: 10_000 },
  rms_norm_eps: { key: 'normEps', fallback: 1e-6 },
  vae_embed_dim: { key: 'latentDim', fallback: 128 },
  diffloss_w: { key: 'headWidth', fallback: 1024 },
  diffloss_d: { key: 'headDepth', fallback: 3 },
  noise_channels: { key: 'noiseDim', fallback: 128 },
  training_cfg: { key: 'guidanceDropout', fallback: 0 },
  dropout: { key: 'dropout', fallback: 0 },
  attention_dropout: { key: 'attentionDropout', fallback: 0 },
  activation_dropout: { key: 'activationDropout', fallback: 0 },
  stream_n: { key: 'textPerTurn', fallback: Infinity },
  stream_m: { key: 'framesPerTurn', fallback: Infinity },
  bos_token_id: { key: 'bosId', fallback: 0 },
  eos_token_id: { key: 'eosId', fallback: 2 },
  text_front_end: { key: 'text', fallback: 'bpe' },
  guidance_scale: { key: 'guidanceScale', fallback: 1 },
  temperature: { key: 'temperature', fallback: 1 },
  alignment_heads: { key: 'alignmentHeads', fallback: [] },
};

/** Keys that the released files carry and that must have these values, since nothing else is built. */
const REQUIRED: Record<string, unknown[]> = {
  hidden_act: ['silu'],
  attention_bias: [false],
  mlp_bias: [false],
  rope_scaling: [null],
  tie_word_embeddings: [false],
  model_type: ['speech_llama', 'sled'],
};

/** Keys of Hugging Face's config files that say nothing about the network. */
const IGNORED = new Set(
  'architectures torch_dtype dtype transformers_version use_cache initializer_range pretraining_tp pad_token_id _name_or_path head_dim num_key_value_heads'.split(
    ' ',
  ),
);

const POSITIVE_INTEGERS: (keyof SledConfig)[] = [
  ...(['vocabSize', 'width', 'layers', 'heads', 'ffnWidth', 'maxPositions'] as const),
  ...(['latentDim', 'headWidth', 'headDepth', 'noiseDim'] as const),
];
const PROBABILITIES = ['guidanceDropout', 'dropout', 'attentionDropout', 'activationDropout'] as const;

/**
 * Parses a `config.json` in the released (Hugging Face) layout.
 * @throws {CheckpointError} listing every unknown key and every value that cannot be.
 */
export function parseConfig(json: unknown, source = 'config.json'): SledConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new CheckpointError(`${source}: expected a JSON object, got ${JSON.stringify(json)}`);
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const { key, fallback } of Object.values(FIELDS)) if (fallback !== undefined) config[key] = fallback;
  for (const [name, value] of Object.entries(json)) {
    const field = FIELDS[name];
    if (field) config[field.key] = value;
    else if (REQUIRED[name]) {
      if (!REQUIRED[name].includes(value))
        problems.push(`${name}: expected ${REQUIRED[name].join(' or ')}, got ${value}`);
    } else if (!IGNORED.has(name)) problems.push(`unknown key ${name}`);
  }
  for (const [name, { key }] of Object.entries(FIELDS))
    if (config[key] === undefined) problems.push(`${name} is missing`);
  const { num_key_value_heads: keyHeads, num_attention_heads: heads } = json as Record<string, unknown>;
  if (keyHeads != null && keyHeads !== heads) problems.push(`num_key_value_heads: expected ${heads}, got ${keyHeads}`);
  const parsed = config as unknown as SledConfig;
  problems.push(...checkConfig(parsed));
  if (problems.length > 0) throw new CheckpointError(`${source}: ${problems.join('; ')}`);
  return parsed;
}

/** What is wrong with a config's values, in words; empty when nothing is. */
export function checkConfig(config: SledConfig): string[] {
  const problems: string[] = [];
  const expect = (ok: boolean, key: keyof SledConfig, what: string) => {
    if (!ok) problems.push(`${key}: expected ${what}, got ${JSON.stringify(config[key])}`);
  };
  for (const key of POSITIVE_INTEGERS) {
    const value = config[key];
    expect(Number.isInteger(value) && Number(value) > 0 && Number(value) < 2 ** 24, key, 'a positive integer');
  }
  for (const key of PROBABILITIES) expect(config[key] >= 0 && config[key] < 1, key, 'a number in [0, 1)');
  for (const key of ['textPerTurn', 'framesPerTurn'] as const)
    expect(config[key] === Infinity || (Number.isInteger(config[key]) && config[key] > 0), key, 'a positive integer');
  for (const key of ['ropeTheta', 'normEps'] as const) expect(config[key] > 0, key, 'a positive number');
  for (const key of ['bosId', 'eosId'] as const)
    expect(Number.isInteger(config[key]) && config[key] >= 0 && config[key] < config.vocabSize, key, 'a token id');
  expect(['bpe', 'phonemes-en'].includes(config.text), 'text', 'bpe or phonemes-en');
  expect(Number.isFinite(config.guidanceScale) && config.guidanceScale >= 0, 'guidanceScale', 'a number from 0');
  expect(Number.isFinite(config.temperature) && config.temperature >= 0, 'temperature', 'a number from 0');
  expect(
    areHeads(config),
    'alignmentHeads',
    `pairs of a layer below ${config.layers} and a head below ${config.heads}`,
  );
  const headSize = config.width / config.heads;
  expect(
    Number.isInteger(headSize) && headSize % 2 === 0,
    'heads',
    `a divisor of width ${config.width} into even parts`,
  );
  if ((config.textPerTurn === Infinity) !== (config.framesPerTurn === Infinity))
    problems.push('stream_n and stream_m: expected both or neither');
  return problems;
}

/** Whether the alignment heads are a list of heads that are there, each once. */
function areHeads({ alignmentHeads: pairs, layers, heads }: SledConfig): boolean {
  const below = (x: unknown, end: number) => Number.isInteger(x) && Number(x) >= 0 && Number(x) < end;
  const isHead = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && below(pair[0], layers) && below(pair[1], heads); // prettier-ignore
  return Array.isArray(pairs) && pairs.every(isHead) && new Set(pairs.map(String)).size === pairs.length;
}

/** The `config.json` that `parseConfig` reads back, with the released names. */
export function writeConfig(config: SledConfig): Record<string, unknown> {
  const json: Record<string, unknown> = { model_type: 'speech_llama', hidden_act: 'silu', tie_word_embeddings: false };
  for (const [name, { key }] of Object.entries(FIELDS)) if (config[key] !== Infinity) json[name] = config[key];
  return json;
}

/** True for the streaming model, which reads text and writes frames in turns. */
export const isInterleaved = (config: SledConfig): boolean => config.textPerTurn !== Infinity;
