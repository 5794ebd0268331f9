import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cat, full, liveTensors, randn, scope, setNumThreads, tensor, zeros, type Tensor } from '@sled-tts/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, toFloat32 } from '../../../src/model/safetensors.js';
import { readMelCodecFiles } from '../../../src/codec/mel/files.js';
import { octavesOf } from '../../../src/codec/mel/source.js';
import { MelCodec } from '../../../src/codec/mel/mel-codec.js';
import type { CodecRecipe } from '../../../src/train/codec/codec-trainer.js';
import { PitchLoss } from '../../../src/train/codec/pitch-loss.js';
import { SpectralLoss } from '../../../src/train/codec/spectral-loss.js';
import { trainCodec } from '../../../src/train/codec/train.js';
import { UnitGradient } from '../../../src/train/codec/unit-gradient.js';
import { writeCorpus } from './corpus-files.js';
import { babble, TINY } from './tiny.js';

const RECIPE: Partial<CodecRecipe> = {
  steps: 12,
  batchSize: 2,
  cropFrames: 10,
  warmupSteps: 2,
};

let directory: string;
let manifest: string;
beforeAll(() => {
  setNumThreads(1);
  directory = mkdtempSync(join(tmpdir(), 'mel-training-'));
  manifest = writeCorpus(directory, 8);
});
afterAll(() => rmSync(directory, { recursive: true }));

const train = (name: string, recipe: Partial<CodecRecipe> = {}, more: object = {}) =>
  trainCodec({
    manifests: [manifest],
    out: join(directory, name),
    config: TINY,
    recipe: { ...RECIPE, ...recipe },
    ...more,
  });

describe('the spectral loss', () => {
  const resolutions = [{ fftSize: 128, melBins: 8 }, { fftSize: 256, melBins: 16 }]; // prettier-ignore

  it('is zero for equal signals and grows with their distance', () => {
    const loss = new SpectralLoss(8000, resolutions);
    const x = tensor(babble(2400, 8000), [1, 2400]);
    const at = (noise: number) => scope(() => loss.forward(x.add(randn([1, 2400]).mul(noise)), x).item());
    expect(at(0)).toBe(0);
    expect(at(0.01)).toBeGreaterThan(0.01);
    expect(at(0.1)).toBeGreaterThan(at(0.01));
  });

  it('is finite, with finite gradients, where both signals are digital silence', () => {
    const loss = new SpectralLoss(8000, resolutions);
    const silence = zeros([1, 2400]).requiresGrad_();
    const value = loss.forward(silence, zeros([1, 2400]));
    value.backward();
    expect(value.item()).toBe(0);
    expect(silence.grad!.toFloat32Array().every(Number.isFinite)).toBe(true);
  });

  it('does not let silence outweigh speech', () => {
    const loss = new SpectralLoss(8000, resolutions);
    const hiss = randn([1, 2400]).mul(1e-4);
    const speech = tensor(babble(2400, 8000), [1, 2400]);
    expect(loss.forward(hiss, zeros([1, 2400])).item()).toBeLessThan(loss.forward(speech, speech.mul(0.5)).item());
  });
});

describe('the energy score', () => {
  const loss = new SpectralLoss(8000, [{ fftSize: 128, melBins: 8 }, { fftSize: 256, melBins: 16 }]); // prettier-ignore
  const hiss = (rows: number, size: number) => randn([rows, 4800]).mul(size);
  const score = (draws: Tensor, target: Tensor) => scope(() => loss.energyScore(draws, target).item());

  it('is half of the distances to the target less half of that between the draws', () => {
    const [a, b, x] = [hiss(2, 0.1), hiss(2, 0.2), hiss(2, 0.3)];
    const expected = (loss.forward(a, x).item() + loss.forward(b, x).item() - loss.forward(a, b).item()) / 2;
    expect(score(cat([a, b]), x)).toBeCloseTo(expected, 5);
  });

  it('is least for noise of the level of the noise to be imitated', () => {
    const target = hiss(8, 0.1);
    const [quiet, right, loud] = [0.07, 0.1, 0.14].map((size) => score(hiss(16, size), target));
    expect(right).toBeLessThan(quiet);
    expect(right).toBeLessThan(loud);
  });

  it('prefers noise to an even hum where the target is noise, as a distance alone does not', () => {
    const short = new SpectralLoss(8000, [{ fftSize: 128, melBins: 8 }]);
    const target = hiss(8, 0.1);
    const hum = tensor(
      Float32Array.from({ length: 16 * 4800 }, (_, n) => (n % 32 === 0 ? 0.566 : 0)),
      [16, 4800],
    );
    const [even, uneven] = [hum, hiss(16, 0.1)];
    const alone = [even, uneven].map((x) => short.forward(x.narrow(0, 0, 8), target).item());
    const scores = [even, uneven].map((x) => short.energyScore(x, target).item());
    expect(alone[0]).toBeLessThan(alone[1]);
    expect(scores[0]).toBeGreaterThan(scores[1]);
  });
});

describe('the unit gradient', () => {
  it('has norm one whatever the scale of the loss', () => {
    const output = tensor([1, 2, 3, 4], [1, 4]).requiresGrad_();
    for (const scale of [1e6, 1e-6]) {
      const got = new UnitGradient().of(output.square().sum().mul(scale), output).toFloat32Array();
      [1, 2, 3, 4].forEach((x, i) => expect(got[i]).toBeCloseTo(x / Math.sqrt(30), 5));
    }
  });

  it('bounds a spike, lets quiet steps be quiet and names a loss that is not finite', () => {
    const gradient = new UnitGradient();
    const output = tensor([1, 1], [1, 2]).requiresGrad_();
    const norms = [1, 1, 1000, 0.1].map((scale) => gradient.of(output.sum().mul(scale), output).norm().item());
    expect(Math.max(...norms)).toBeLessThanOrEqual(1.0001);
    expect(norms[2]).toBeCloseTo(1, 4);
    expect(norms[3]).toBeLessThan(0.1);
    expect(() => gradient.of(output.sum().mul(NaN), output)).toThrow("the codec's spectral loss is not finite");
  });
});

describe('the pitch loss', () => {
  const hertz = 160;
  const tone = Float32Array.from({ length: 2 * 4800 }, (_, n) =>
    [1, 2, 3].reduce((sum, k) => sum + 0.1 * Math.sin((2 * Math.PI * k * hertz * n) / 8000), 0),
  );
  const loss = new PitchLoss(TINY);
  const at = (octaves: number) => scope(() => loss.forward(full([2, 80], octaves), tone).item());

  it('is the distance in octaves where there is a pitch', () => {
    const right = octavesOf(hertz);
    expect(at(right)).toBeLessThan(0.01);
    for (const off of [-0.5, 0.25]) expect(Math.abs(at(right + off) - Math.abs(off))).toBeLessThan(0.01);
  });

  it('barely counts frames without one', () => {
    // The second row is silent: its frames, octave 1, weigh a hundredth of those of the tone.
    const half = tone.map((x, n) => (n < 4800 ? x : 0));
    const octaves = cat([full([1, 80], octavesOf(hertz)), full([1, 80], 1)]);
    expect(loss.forward(octaves, half).item()).toBeLessThan(0.03);
  });
});

describe('trainCodec', () => {
  it('fits the analysis, lowers the held-out loss and writes a codec that speaks', async () => {
    const lines: string[] = [];
    const early = await train('learns', { steps: 2, averageDecay: 0 });
    const late = await train('learns', { steps: 60, averageDecay: 0, learningRate: 5e-3 }, {
      logEverySteps: 20,
      log: (line: string) => lines.push(line),
    }); // prettier-ignore
    expect(late.heldOut).toBeLessThan(early.heldOut * 0.8);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^step +20\/60 {2}spectral +\d\.\d+ .* held out \d\.\d+ .* s\/step$/);
    const codec = MelCodec.open(join(directory, 'learns'));
    const decoder = codec.createDecoder();
    const latents = await codec.encode(babble(4800, 8000));
    const samples = [...(await decoder.decode(latents)), ...(await decoder.flush())];
    expect(samples.length).toBe(4800);
    codec.free();
  });

  it('resumes to the same weights, bit for bit, noise, sources and data included', async () => {
    await train('whole');
    const stop = new AbortController();
    const stopAfter = (steps: number) => {
      let seen = 0;
      return { logEverySteps: 1, log: (line: string) => line.startsWith('step') && ++seen === steps && stop.abort() };
    };
    expect((await train('cut', {}, { signal: stop.signal, ...stopAfter(6) })).steps).toBe(6);
    expect((await train('cut', {}, { resume: true })).steps).toBe(12);
    for (const file of ['model.safetensors', 'checkpoint.safetensors']) {
      const [whole, cut] = ['whole', 'cut'].map((name) => readFileSync(join(directory, name, file)));
      expect(whole.equals(cut), file).toBe(true);
    }
  });

  it('writes the averaged weights, the noise softer than it was learned', async () => {
    await train('soft', { steps: 3 });
    const { tensors } = readSafetensors(join(directory, 'soft', 'checkpoint.safetensors'));
    const learned = toFloat32(tensors.get('average.output.bias')!);
    const written = readMelCodecFiles(join(directory, 'soft')).decoder!.get('output.bias')!.values;
    const bins = TINY.fftSize / 2 + 1;
    written.forEach((bias, i) =>
      expect(bias - learned[i]).toBeCloseTo(i >= 2 * bins && i < 3 * bins ? Math.log(0.6) : 0, 5),
    );
  });

  it('never changes a fitted analysis', async () => {
    await train('frozen', { steps: 1 });
    const before = readMelCodecFiles(join(directory, 'frozen'));
    await train('frozen', { steps: 1, seed: 2 });
    expect(readMelCodecFiles(join(directory, 'frozen')).map).toEqual(before.map);
  });

  it('begins with the analysis and the decoder of another codec', async () => {
    await train('parent', { steps: 4 });
    const from = join(directory, 'parent');
    await train('child', { steps: 2, learningRate: 0 }, { from });
    const [parent, child] = ['parent', 'child'].map((name) => readMelCodecFiles(join(directory, name)));
    expect(child.map).toEqual(parent.map);
    for (const [name, { values }] of child.decoder!)
      parent.decoder!.get(name)!.values.forEach((value, i) => expect(values[i], name).toBeCloseTo(value, 5));
    await train('learned', { steps: 2 }, { from });
    expect(readMelCodecFiles(join(directory, 'learned')).decoder).not.toEqual(parent.decoder);
  });

  it('leaves no tensors behind from step to step', async () => {
    const counts: number[] = [];
    await train('memory', { steps: 9 }, { logEverySteps: 1, log: () => counts.push(liveTensors()) });
    // Earlier tests' tensors may be collected meanwhile, so the count may fall.
    expect(counts.at(-1)).toBeLessThanOrEqual(counts[1]);
  });

  it('refuses a checkpoint that is none, and one of another recipe', async () => {
    await train('bad', { steps: 1 });
    const path = join(directory, 'bad', 'checkpoint.safetensors');
    const good = readFileSync(path);
    writeFileSync(path, good.subarray(0, 1000));
    await expect(train('bad', {}, { resume: true })).rejects.toThrow(/checkpoint\.safetensors: .*(truncated|whole)/);
    writeFileSync(path, readFileSync(join(directory, 'bad', 'model.safetensors')));
    await expect(train('bad', {}, { resume: true })).rejects.toThrow(/no checkpoint of a codec's training/);
  });

  it('says so when no utterance is as long as a crop', async () => {
    await expect(train('short', { cropFrames: 500 })).rejects.toThrow('none of 8 utterances has 500 latent frames');
  });
});
