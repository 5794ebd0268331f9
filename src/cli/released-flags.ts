/** Where an option of the released training commands lives here. */
export interface ReleasedFlag {
  /** As the released commands spell it; several that belong together are parted by spaces. */
  released: string;
  /** `model.KEY` or `training.KEY` of a config file, `train --flag` or `prepare --flag`, or `-` where nothing is needed. */
  ours: string;
  note: string;
}

/** Every option of the released commands, offline and streaming, in their order. */
export const RELEASED_FLAGS: readonly ReleasedFlag[] = [
  { released: '--finetune_path', ours: 'train --from', note: 'a checkpoint, a run, a voice or a hub id' },
  { released: '--stream_n', ours: 'train --text-per-turn', note: 'model.stream_n in the config' },
  { released: '--stream_m', ours: 'train --frames-per-turn', note: 'model.stream_m in the config' },
  { released: '--training_cfg', ours: 'model.training_cfg', note: 'chance that a sample loses its text' },
  { released: '--num_hidden_layers', ours: 'model.num_hidden_layers', note: '' },
  { released: '--diffloss_d', ours: 'model.diffloss_d', note: 'depth of the energy head' },
  { released: '--noise_channels', ours: 'model.noise_channels', note: '' },
  { released: '--hidden_size', ours: 'model.hidden_size', note: '' },
  { released: '--intermediate_size', ours: 'model.intermediate_size', note: '' },
  { released: '--num_attention_heads', ours: 'model.num_attention_heads', note: '' },
  { released: '--max_position_embeddings', ours: 'model.max_position_embeddings', note: 'longer samples are left out' },
  { released: '--rms_norm_eps', ours: 'model.rms_norm_eps', note: '' },
  { released: '--rope_theta', ours: 'model.rope_theta', note: '' },
  { released: '--dropout', ours: 'model.dropout', note: '' },
  { released: '--attention_dropout', ours: 'model.attention_dropout', note: '' },
  { released: '--activation_dropout', ours: 'model.activation_dropout', note: '' },
  { released: '--vae_embed_dim', ours: 'model.vae_embed_dim', note: '' },
  { released: '--diffloss_w', ours: 'model.diffloss_w', note: 'width of the energy head' },
  { released: '--codec', ours: 'prepare --codec', note: 'encoded once, not in every step' },
  { released: '--tokenizer', ours: 'prepare --vocabulary', note: '' },
  { released: '--data_path', ours: 'prepare --audio-root', note: '' },
  { released: '--train_manifest', ours: 'train --data', note: 'the folder that prepare made of it' },
  { released: '--eval_manifest', ours: 'train --held-out', note: 'the same' },
  { released: '--max_train_samples --max_eval_samples', ours: '-', note: 'head of the manifest' },
  { released: '--pad_to_multiple_of', ours: '-', note: 'every layout is of one sample; padding changes nothing' },
  { released: '--dataloader_num_workers --dataloader_pin_memory', ours: 'train --prefetch', note: 'codes are read, not computed; one thread' },
  { released: '--remove_unused_columns --label_names', ours: '-', note: 'of the Hugging Face trainer alone' },
  { released: '--group_by_speech_length', ours: 'training.groupSize', note: 'utterances sorted by length together' },
  { released: '--do_train --do_eval', ours: 'train --held-out', note: 'evaluates where it is given' },
  { released: '--eval_strategy --eval_steps', ours: 'train --evaluate-every', note: '' },
  { released: '--prediction_loss_only', ours: '-', note: 'always' },
  { released: '--per_device_train_batch_size', ours: 'training.maxSecondsPerBatch', note: 'a budget of seconds, not of utterances' },
  { released: '--per_device_eval_batch_size', ours: 'training.maxSecondsPerBatch', note: '' },
  { released: '--gradient_accumulation_steps', ours: 'training.microBatches', note: 'loss over real frames of the whole step' },
  { released: '--bf16', ours: 'train --precision', note: 'f32, bf16 or pure-bf16; the codec is always float32' },
  { released: '--learning_rate', ours: 'training.learningRate', note: '' },
  { released: '--weight_decay', ours: 'training.weightDecay', note: 'on everything but norms and biases' },
  { released: '--adam_beta1 --adam_beta2', ours: 'training.beta1', note: 'and training.beta2' },
  { released: '--adam_epsilon', ours: '-', note: '1e-8, fixed' },
  { released: '--max_grad_norm', ours: 'training.clip', note: '' },
  { released: '--max_steps', ours: 'train --steps', note: 'training.steps in the config' },
  { released: '--lr_scheduler_type', ours: 'training.decaySteps', note: 'linear: steps minus warmupSteps' },
  { released: '--warmup_steps', ours: 'training.warmupSteps', note: '' },
  { released: '--seed', ours: 'train --seed', note: '' },
  { released: '--logging_first_step --logging_steps', ours: 'train --log-every', note: '' },
  { released: '--save_steps', ours: 'train --save-every', note: '' },
  { released: '--save_total_limit', ours: 'train --keep', note: '' },
  { released: '--output_dir --overwrite_output_dir', ours: 'train --out', note: 'a run that is there goes on' },
  { released: '--report_to', ours: 'train --out', note: 'TensorBoard events are in OUT/events' },
  { released: '--disable_tqdm', ours: 'train --quiet', note: '' },
  { released: '--ddp_timeout', ours: 'train --timeout', note: '' },
]; // prettier-ignore

/** The table as text under `train --help`. */
export function releasedFlagsHelp(): string {
  const width = Math.max(...RELEASED_FLAGS.map(({ ours }) => ours.length));
  const rows = RELEASED_FLAGS.map(({ released, ours, note }) =>
    `  ${ours.padEnd(width)}  ${released}${note && `: ${note}`}`.trimEnd(),
  );
  return ['', 'Options of the released Python commands, and where they are here:', ...rows, ''].join('\n');
}
