import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EncodecCodec } from '../../../../src/codec/encodec/encodec-codec.js';
import { parseEncodecConfig } from '../../../../src/codec/encodec/config.js';
import { foldWeights } from '../../../../src/codec/encodec/weights.js';
import { openCodec } from '../../../../src/codec/index.js';
import { CheckpointError } from '../../../../src/model/errors.js';
import { fromFloat32, toFloat32, writeSafetensors, type SafetensorsArray } from '../../../../src/model/safetensors.js';
import { goldenConfig, goldenFiles, goldenLatents, goldenTensors } from './golden-codec.js';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'encodec-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function write(name: string, config: unknown, tensors: ReadonlyMap<string, SafetensorsArray>): string {
  const directory = join(root, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  writeSafetensors(join(directory, 'model.safetensors'), tensors);
  return directory;
}

const renamed = (tensors: ReadonlyMap<string, SafetensorsArray>, from: (name: string) => string) =>
  new Map([...tensors].map(([name, tensor]) => [from(name), tensor]));

describe('an EnCodec checkpoint', () => {
  it('is opened by openCodec and speaks', async () => {
    const codec = openCodec(write('whole', goldenConfig('tiny'), goldenTensors('tiny')));
    expect(codec).toBeInstanceOf(EncodecCodec);
    expect([codec.sampleRate, codec.hopLength, codec.latentDim]).toEqual([1800, 24, 12]);
    const decoder = codec.createDecoder();
    expect((await decoder.decode(goldenLatents(9, 12))).length).toBe(9 * 24);
    codec.free();
    expect(() => codec.createDecoder()).toThrow('this codec was freed');
  });

  it('may spell weight norm the older way, or hold the products', () => {
    const { config, weights } = goldenFiles('tiny');
    const older = renamed(goldenTensors('tiny'), (name) =>
      name.replace('parametrizations.weight.original0', 'weight_g').replace('parametrizations.weight.original1', 'weight_v'),
    ); // prettier-ignore
    expect(foldWeights(config, older, 'older')).toEqual(weights);
    const plain = new Map<string, SafetensorsArray>();
    for (const [name, tensor] of older) if (!/weight_[gv]$/.test(name)) plain.set(name, tensor);
    for (const [name, { shape }] of older) {
      const folded = name.replace(/weight_v$/, 'weight');
      if (folded !== name) plain.set(folded, fromFloat32(weights.get(folded)!, shape));
    }
    expect(foldWeights(config, plain, 'plain')).toEqual(weights);
  });

  it('has directions multiplied by magnitudes over their norm', () => {
    const name = 'decoder.layers.0.conv';
    const tensors = goldenTensors('tiny');
    const [g, v] = [0, 1].map((n) => toFloat32(tensors.get(`${name}.parametrizations.weight.original${n}`)!));
    const row = v.subarray(0, v.length / g.length);
    const norm = Math.hypot(...row);
    const folded = goldenFiles('tiny').weights.get(`${name}.weight`)!;
    row.forEach((value, i) => expect(folded[i]).toBeCloseTo((g[0] * value) / norm, 6));
  });

  it('is refused with everything that does not fit at once', () => {
    const tensors = goldenTensors('tiny');
    tensors.delete('decoder.layers.1.lstm.weight_hh_l1');
    tensors.delete('encoder.layers.0.conv.parametrizations.weight.original0');
    tensors.set('quantizer.layers.3.codebook.embed', fromFloat32(new Float32Array(24), [2, 12]));
    tensors.set('decoder.extra', fromFloat32(new Float32Array(1), [1]));
    const directory = write('broken', goldenConfig('tiny'), tensors);
    const open = () => openCodec(directory);
    expect(open).toThrow(CheckpointError);
    expect(open).toThrow('decoder.layers.1.lstm.weight_hh_l1 is missing');
    expect(open).toThrow('encoder.layers.0.conv.parametrizations.weight.original0 is missing');
    expect(open).toThrow('quantizer.layers.3.codebook.embed is [2,12], expected [32,12]');
    expect(open).toThrow('decoder.extra is unknown');
  });

  it('is refused when its config asks for what we do not compute, all of it at once', () => {
    const config = { ...goldenConfig('tiny'), use_causal_conv: false, audio_channels: 2, norm_type: 'time_group_norm', hidden_size: 0 }; // prettier-ignore
    const directory = write('foreign', config, new Map());
    const open = () => openCodec(directory);
    expect(open).toThrow(CheckpointError);
    expect(open).toThrow('use_causal_conv must be true, got false');
    expect(open).toThrow('audio_channels must be 1, got 2');
    expect(open).toThrow('norm_type must be "weight_norm", got "time_group_norm"');
    expect(open).toThrow('hidden_size must be an integer in 1..16384, got 0');
  });
});

describe("EnCodec's config", () => {
  it('is the 24 kHz codec where keys are absent', () => {
    const { sampleRate, ratios, latentDim } = parseEncodecConfig({ model_type: 'encodec' });
    expect([sampleRate, latentDim, ...ratios]).toEqual([24_000, 128, 8, 5, 4, 2]);
  });

  it.each([
    [{ pad_mode: 'constant' }, 'pad_mode must be "reflect"'],
    [{ trim_right_ratio: 0.5 }, 'trim_right_ratio must be 1'],
    [{ normalize: true }, 'normalize must be false'],
    [{ chunk_length_s: 1 }, 'chunk_length_s must be null'],
    [{ codebook_dim: 64 }, 'codebook_dim must be hidden_size (128), got 64'],
    [{ codebook_size: 1000 }, 'codebook_size must be a power of two, got 1000'],
    [{ upsampling_ratios: [] }, 'upsampling_ratios must be'],
    [{ upsampling_ratios: [8, 0] }, 'upsampling_ratios must be'],
    [{ upsampling_ratios: [256, 256, 256] }, 'the product of upsampling_ratios must be at most'],
    [{ num_filters: 16_384 }, 'num_filters doubled 4 times'],
    [{ compress: 64 }, 'compress must be at most num_filters (32), got 64'],
    [{ num_residual_layers: 16, dilation_growth_rate: 9 }, 'must reach at most'],
    [{ target_bandwidths: ['6'] }, 'target_bandwidths must be'],
    [{ target_bandwidths: [0.1] }, 'room for 1 to 256 codebooks, got 0'],
    [{ use_conv_shortcut: 1 }, 'use_conv_shortcut must be true or false'],
    [{ kernel_size: '7' }, 'kernel_size must be an integer'],
    [[], 'expected an object'],
  ])('is refused as %j', (change, message) => {
    expect(() => parseEncodecConfig(change)).toThrow(message);
  });
});

describe('the number of codebooks', () => {
  it('is what fits in 6 kbit/s, or in another bandwidth that is offered', () => {
    const files = goldenFiles('tiny');
    expect(new EncodecCodec(files).codebooks).toBe(16);
    expect(new EncodecCodec(files, { bandwidth: 1.5 }).codebooks).toBe(4);
    expect(() => new EncodecCodec(files, { bandwidth: 2 })).toThrow('expected a bandwidth of 1.5, 3, 6, 12, 24 kbit/s, got 2');
  }); // prettier-ignore
});

describe('wrong calls', () => {
  it('say what was expected', async () => {
    const codec = new EncodecCodec(goldenFiles('tiny'));
    const decoder = codec.createDecoder();
    expect(() => decoder.decode(new Float32Array(5))).toThrow('decode: expected latents [T, 12], got 5 values');
    expect(() => codec.latentsOf(new Int32Array(17))).toThrow('latentsOf: expected codes [16, T], got 17 values');
    expect(() => codec.latentsOf(new Int32Array(16).fill(32))).toThrow('latentsOf: expected codes in 0..31, got 32');
    await decoder.flush();
    expect(() => decoder.decode(goldenLatents(1, 12))).toThrow('this stream was flushed; create another');
    codec.free();
  });
});
