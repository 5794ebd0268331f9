import type { SledConfig } from './config.js';

/** A parameter: our name, the released checkpoint's name, and its shape (rows first). */
export interface ParameterEntry {
  name: string;
  released: string;
  shape: number[];
}

type Row = [name: string, released: string, shape: number[]];

const withBias = ([name, released, shape]: Row): Row[] => [
  [`${name}.weight`, `${released}.weight`, shape],
  [`${name}.bias`, `${released}.bias`, [shape[0]]],
];

function trunkRows({ vocabSize, width: C, layers, ffnWidth: F, latentDim: D }: SledConfig): Row[] {
  const rows: Row[] = [
    ['textEmbedding.weight', 'model.embed_tokens.weight', [vocabSize, C]],
    ...withBias(['latentProjection', 'z_proj', [C, D]]),
    ...withBias(['inputNorm', 'z_proj_ln', [C]]),
  ];
  for (let i = 0; i < layers; i++) {
    const [ours, released] = [`layers.${i}`, `model.layers.${i}`];
    rows.push(
      [`${ours}.attentionNorm.weight`, `${released}.input_layernorm.weight`, [C]],
      [`${ours}.attention.query.weight`, `${released}.self_attn.q_proj.weight`, [C, C]],
      [`${ours}.attention.key.weight`, `${released}.self_attn.k_proj.weight`, [C, C]],
      [`${ours}.attention.value.weight`, `${released}.self_attn.v_proj.weight`, [C, C]],
      [`${ours}.attention.output.weight`, `${released}.self_attn.o_proj.weight`, [C, C]],
      [`${ours}.feedForwardNorm.weight`, `${released}.post_attention_layernorm.weight`, [C]],
      [`${ours}.feedForward.gate.weight`, `${released}.mlp.gate_proj.weight`, [F, C]],
      [`${ours}.feedForward.up.weight`, `${released}.mlp.up_proj.weight`, [F, C]],
      [`${ours}.feedForward.down.weight`, `${released}.mlp.down_proj.weight`, [C, F]],
    );
  }
  rows.push(['outputNorm.weight', 'model.norm.weight', [C]], ['endHead.weight', 'eos_head.weight', [1, C]]);
  return rows;
}

function energyHeadRows({ width: C, headWidth: W, headDepth, noiseDim: N, latentDim: D }: SledConfig): Row[] {
  const rows: Row[] = [
    ...withBias(['energyHead.conditionProjection', 'scoreloss.net.cond_embed', [W, C]]),
    ...withBias(['energyHead.noiseProjection', 'scoreloss.net.input_proj', [W, N]]),
  ];
  for (let i = 0; i < headDepth; i++) {
    const [ours, released] = [`energyHead.blocks.${i}`, `scoreloss.net.res_blocks.${i}`];
    rows.push(
      ...withBias([`${ours}.noiseNorm`, `${released}.noise_ln`, [W]]),
      ...withBias([`${ours}.modulation`, `${released}.adaLN_modulation.1`, [3 * W, W]]),
      ...withBias([`${ours}.first`, `${released}.mlp.0`, [W, W]]),
      ...withBias([`${ours}.second`, `${released}.mlp.2`, [W, W]]),
    );
  }
  rows.push(
    ...withBias(['energyHead.outputModulation', 'scoreloss.net.final_layer.adaLN_modulation.1', [2 * W, W]]),
    ...withBias(['energyHead.output', 'scoreloss.net.final_layer.linear', [D, W]]),
  );
  return rows;
}

/** Every parameter of the network, in order: the one table of names and shapes, for both engines. */
export function parameterTable(config: SledConfig): ParameterEntry[] {
  return [...trunkRows(config), ...energyHeadRows(config)].map(([name, released, shape]) => ({
    name,
    released,
    shape,
  }));
}

/** Names in released checkpoints that hold nothing of the network. */
export const isIgnoredName = (released: string): boolean =>
  released.startsWith('codec.') || released === 'bceloss.pos_weight';

/** What is missing, extra or mis-shaped in a released-layout checkpoint, in words; empty when it fits the config. */
export function checkShapes(config: SledConfig, shapes: ReadonlyMap<string, readonly number[]>): string[] {
  const problems: string[] = [];
  const known = new Set<string>();
  for (const { released, shape } of parameterTable(config)) {
    known.add(released);
    const got = shapes.get(released);
    if (!got) problems.push(`missing ${released} [${shape}]`);
    else if (got.join() !== shape.join()) problems.push(`${released}: expected [${shape}], got [${got}]`);
  }
  for (const name of shapes.keys()) if (!known.has(name) && !isIgnoredName(name)) problems.push(`unknown ${name}`);
  return problems;
}
