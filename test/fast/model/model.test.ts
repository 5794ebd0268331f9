import { expect, test } from 'vitest';
import { checkShapes, parameterTable } from '../../../src/model/checkpoint.js';
import { parseConfig, writeConfig } from '../../../src/model/config.js';
import { CheckpointError } from '../../../src/model/errors.js';
import { planPositions, planTurns } from '../../../src/model/turn-plan.js';

const RELEASED = {
  architectures: ['SpeechLlamaForCausalLM'], model_type: 'speech_llama', hidden_act: 'silu', vocab_size: 16384, hidden_size: 1024,
  intermediate_size: 2752, num_hidden_layers: 12, num_attention_heads: 16, num_key_value_heads: 16, rms_norm_eps: 1e-6,
  diffloss_d: 6, diffloss_w: 1024, training_cfg: 0.1, bos_token_id: 0, pad_token_id: null, eos_token_id: 2, torch_dtype: 'float32',
}; // prettier-ignore

test('reads the released config and its defaults', () => {
  const config = parseConfig(RELEASED);
  expect(config).toMatchObject({
    width: 1024,
    latentDim: 128,
    headDepth: 6,
    textPerTurn: Infinity,
    guidanceDropout: 0.1,
  });
  expect(parseConfig({ ...RELEASED, stream_n: 5, stream_m: 45 })).toMatchObject({ textPerTurn: 5, framesPerTurn: 45 });
});

test('writes a config that reads back equal', () => {
  const turns = { stream_n: 10, stream_m: 12, text_front_end: 'phonemes-en', guidance_scale: 2 };
  for (const extra of [
    {},
    turns,
    {
      alignment_heads: [
        [2, 0],
        [4, 15],
      ],
    },
  ]) {
    // prettier-ignore
    const config = parseConfig({ ...RELEASED, ...extra });
    expect(parseConfig(JSON.parse(JSON.stringify(writeConfig(config))))).toEqual(config);
  }
});

test.each([[[[12, 0]]], [[[0, 16]]], [[[0]]], [[[0, 0.5]]], [[[1, 1], [1, 1]]], ['2,0'], [{ 0: [0, 0] }]])(
  'refuses %j as alignment heads of 12 layers of 16 heads',
  (alignment_heads) => {
    const parse = () => parseConfig({ ...RELEASED, alignment_heads });
    expect(parse).toThrow(/alignmentHeads: expected pairs of a layer below 12 and a head below 16, got/);
  },
); // prettier-ignore

test('names everything that is wrong with a config at once', () => {
  const bad = {
    ...RELEASED,
    hidden_size: undefined,
    hidden_act: 'gelu',
    colour: 1,
    dropout: 2,
    stream_n: 5,
    num_key_value_heads: 4,
  };
  expect(() => parseConfig(bad)).toThrow(CheckpointError);
  try {
    parseConfig(bad);
  } catch (error) {
    for (const word of ['hidden_size', 'hidden_act', 'colour', 'dropout', 'stream_n', 'num_key_value_heads'])
      expect(String(error)).toContain(word);
  }
  expect(() => parseConfig(null)).toThrow(CheckpointError);
});

test('maps checkpoint names both ways and lists every difference', () => {
  const config = parseConfig({ ...RELEASED, num_hidden_layers: 2 });
  const table = parameterTable(config);
  expect(new Set(table.map(({ name }) => name)).size).toBe(table.length);
  expect(new Set(table.map(({ released }) => released)).size).toBe(table.length);
  const shapes = new Map(table.map(({ released, shape }) => [released, shape]));
  expect(checkShapes(config, new Map([...shapes, ['codec.x', [1]], ['bceloss.pos_weight', [1]]]))).toEqual([]);
  shapes.delete('model.norm.weight');
  shapes.set('eos_head.weight', [2, 1024]).set('extra', [1]);
  expect(checkShapes(config, shapes)).toEqual([
    'missing model.norm.weight [1024]',
    'eos_head.weight: expected [1,1024], got [2,1024]',
    'unknown extra',
  ]);
});

test('plans turns as the released interleaving does', () => {
  const layout = { textPerTurn: 5, framesPerTurn: 45 };
  expect(planTurns(12, 100, layout)).toEqual([{ text: 5, frames: 45 }, { text: 5, frames: 45 }, { text: 2, frames: 10 }]);
  expect(planTurns(12, 50, layout)).toEqual([{ text: 5, frames: 45 }, { text: 5, frames: 5 }, { text: 2, frames: 0 }]);
  expect(planTurns(10, 200, layout)).toEqual([{ text: 5, frames: 45 }, { text: 5, frames: 45 }, { text: 0, frames: 110 }]);
  expect(planTurns(3, 7, { textPerTurn: Infinity, framesPerTurn: Infinity })).toEqual([{ text: 3, frames: 7 }]);
  expect([...planPositions(3, 4, { textPerTurn: 2, framesPerTurn: 3 })]).toEqual([0, 1, 3, 4, 5, 2, 6]);
}); // prettier-ignore
