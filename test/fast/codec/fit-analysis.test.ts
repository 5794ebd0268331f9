import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MelAnalysis, stackFrames } from '../../../src/codec/mel/analysis.js';
import { stackedDimOf } from '../../../src/codec/mel/config.js';
import { readMelCodecFiles, writeMelCodecFiles } from '../../../src/codec/mel/files.js';
import { LogMel } from '../../../src/codec/mel/log-mel.js';
import { readManifests, SpeechCorpus } from '../../../src/train/codec/corpus.js';
import { symmetricEigen } from '../../../src/train/codec/eigen.js';
import { fitAnalysis } from '../../../src/train/codec/fit-analysis.js';
import { writeCorpus } from './corpus-files.js';
import { lcg, TINY } from './tiny.js';

let directory: string;
let corpus: SpeechCorpus;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'mel-codec-'));
  corpus = new SpeechCorpus(readManifests([writeCorpus(directory, 6)], TINY.sampleRate), TINY.sampleRate);
});
afterAll(() => {
  corpus.close();
  rmSync(directory, { recursive: true });
});

describe('symmetricEigen', () => {
  it('returns orthonormal rows that the matrix only stretches, in falling order and with a fixed sign', () => {
    const n = 12;
    const random = lcg(7);
    const factor = Float64Array.from({ length: n * n }, random);
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        for (let k = 0; k < n; k++) matrix[i * n + j] += factor[i * n + k] * factor[j * n + k];
    const { values, vectors } = symmetricEigen(matrix, n);
    for (let i = 0; i < n; i++) {
      const v = vectors.subarray(i * n, (i + 1) * n);
      const stretched = v.map((_, r) => v.reduce((sum, x, c) => sum + matrix[r * n + c] * x, 0));
      stretched.forEach((x, r) => expect(x).toBeCloseTo(values[i] * v[r], 9));
      expect(v.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 12);
      expect(Math.max(...v)).toBeGreaterThanOrEqual(-Math.min(...v));
      if (i > 0) expect(values[i]).toBeLessThanOrEqual(values[i - 1]);
    }
  });

  it('says so when an entry is not finite', () => {
    expect(() => symmetricEigen(Float64Array.of(1, Infinity, Infinity, 1), 2)).toThrow(/finite/);
    expect(() => symmetricEigen(Float64Array.of(1, NaN, NaN, 1), 2)).toThrow(/finite/);
  });
});

describe('fitAnalysis', () => {
  it('gives latents whose reconstruction keeps the stated share of the variance', () => {
    const fitted = fitAnalysis(corpus, TINY);
    const analysis = new MelAnalysis(TINY, fitted.map);
    const [S, D] = [stackedDimOf(TINY), TINY.latentDim];
    const [logMel, stacked] = [new LogMel(TINY), new Float64Array(S)];
    let [lost, total] = [0, 0];
    for (const utterance of corpus.utterances) {
      const samples = corpus.read(utterance);
      const latents = analysis.encode(samples);
      for (let t = 0; t < latents.length / D; t++) {
        stackFrames(logMel, samples, t, stacked);
        for (let s = 0; s < S; s++) {
          let value = 0;
          for (let d = 0; d < D; d++) value += latents[t * D + d] * fitted.map.basis[d * S + s] * fitted.map.scale;
          const centred = stacked[s] - fitted.map.mean[s];
          lost += (centred - value) ** 2;
          total += centred ** 2;
        }
      }
    }
    expect(fitted.explained).toBeGreaterThan(0.5);
    expect(1 - lost / total).toBeCloseTo(fitted.explained, 4);
  });

  it('gives channels of falling variance, one on average, without a mean', () => {
    const { statistics } = fitAnalysis(corpus, TINY);
    const variances = [...statistics.std].map((x) => x * x);
    expect(variances.reduce((a, b) => a + b) / variances.length).toBeCloseTo(1, 3);
    expect(variances).toEqual([...variances].sort((a, b) => b - a));
    statistics.mean.forEach((m) => expect(Math.abs(m)).toBeLessThan(1e-3));
  });

  it('is deterministic and survives its files', () => {
    const fitted = fitAnalysis(corpus, TINY);
    writeMelCodecFiles(join(directory, 'codec'), { config: TINY, ...fitAnalysis(corpus, TINY) });
    const { config, map, statistics, decoder } = readMelCodecFiles(join(directory, 'codec'));
    expect({ config, map, statistics, decoder }).toEqual({
      config: TINY,
      map: fitted.map,
      statistics: fitted.statistics,
      decoder: undefined,
    });
  });

  it('looks at evenly spaced utterances when there are more than it needs', () => {
    expect(fitAnalysis(corpus, TINY, { maxFrames: 60 }).frames).toBeLessThan(fitAnalysis(corpus, TINY).frames / 2);
  });

  it('refuses less speech than it has channels', () => {
    const little = new SpeechCorpus([{ ...corpus.utterances[0], numSamples: 480 }], TINY.sampleRate);
    expect(() => fitAnalysis(little, TINY)).toThrow(/expected more than 12 latent frames, got 2/);
  });
});

describe('the corpus', () => {
  it('reads any part of an utterance and silence beyond its ends', () => {
    const utterance = corpus.utterances[2];
    const whole = corpus.read(utterance);
    const part = corpus.read(utterance, -100, whole.length + 300);
    expect(part.subarray(100, 100 + whole.length)).toEqual(whole);
    expect([...part.subarray(0, 100), ...part.subarray(100 + whole.length)].every((x) => x === 0)).toBe(true);
    expect(corpus.read(utterance, 50, 10)).toEqual(whole.slice(50, 60));
  });

  const wrongLines: [string, string, RegExp][] = [
    ['no JSON', '{', /bad\.jsonl:1: not a line of JSON/],
    ['no source', '{"id":"a","duration":1}', /no recording\.sources/],
    [
      'samples beyond the file',
      '{"id":"a","duration":9999,"recording":{"sources":[{"source":"speech.wav"}]}}',
      /a: samples 0\.\.79992000 do not lie inside/,
    ],
    [
      'another format',
      '{"id":"a","duration":1,"recording":{"sources":[{"source":"bad.jsonl"}]}}',
      /expected a RIFF\/WAVE file/,
    ],
  ];
  it.each(wrongLines)('refuses a manifest line with %s', (_, line, message) => {
    const path = join(directory, 'bad.jsonl');
    writeFileSync(path, `${line}\n`);
    expect(() => new SpeechCorpus(readManifests([path], TINY.sampleRate), TINY.sampleRate)).toThrow(message);
  });

  it('refuses a recording of another sample rate', () => {
    const manifest = join(directory, 'manifest.jsonl');
    expect(() => new SpeechCorpus(readManifests([manifest], 16000), 16000)).toThrow(
      /expected format 1, 1 channels, 16000/,
    );
  });
});
