import { describe, expect, it } from 'vitest';
import { hertzOf, octavesOf, pitchLead, Source } from '../../../src/codec/mel/source.js';
import { SourceFilter } from '../../../src/codec/mel/source-filter.js';
import { OverlapAdd } from '../../../src/codec/mel/overlap-add.js';
import { PitchEstimator } from '../../../src/train/codec/pitch.js';
import { babble, TINY } from './tiny.js';

const LEAD = pitchLead(TINY);
const BINS = TINY.fftSize / 2 + 1;

/** Pulses and noise of a pitch track in Hz, one a frame. */
function listen(pitches: readonly number[], seed = 1): { pulses: Float64Array; noise: Float64Array } {
  const source = new Source(TINY, seed);
  const parts = pitches.map((hertz) => {
    const length = source.extend(octavesOf(hertz));
    return [source.pulses.slice(0, length), source.noise.slice(0, length)];
  });
  const joined = (i: number) => Float64Array.from(parts.flatMap((part) => [...part[i]]));
  return { pulses: joined(0), noise: joined(1) };
}

const powerOf = (samples: Float64Array) => samples.reduce((sum, x) => sum + x * x, 0) / samples.length;

describe('the source', () => {
  it('has unit power, pulses at any pitch and noise alike', () => {
    for (const hertz of [70, 143, 317, 700]) {
      const { pulses, noise } = listen(Array<number>(200).fill(hertz));
      // A whole number of cosines fits below half the rate: the last one is missing or whole.
      expect(Math.abs(powerOf(pulses) - 1), `${hertz} Hz`).toBeLessThan(hertz / 4000 + 0.01);
      expect(powerOf(noise)).toBeCloseTo(1, 1);
    }
  });

  it('has partials of equal size at every multiple of its pitch below half the rate, and nothing else', () => {
    const period = 63;
    const { pulses } = listen(Array<number>(3).fill(8000 / period));
    for (let k = 0; k <= 31; k++) {
      let [re, im] = [0, 0];
      for (let n = 0; n < period; n++) {
        re += (2 / period) * pulses[n] * Math.cos((2 * Math.PI * k * n) / period);
        im -= (2 / period) * pulses[n] * Math.sin((2 * Math.PI * k * n) / period);
      }
      expect(Math.hypot(re, im)).toBeCloseTo(k === 0 ? 0 : Math.sqrt((2 * 8000) / period / 4000), 6);
    }
  });

  it('starts elsewhere in a period, with other noise, for another seed', () => {
    const [a, b, c] = [5, 5, 6].map((seed) => listen(Array<number>(3).fill(150), seed));
    expect(a).toEqual(b);
    expect(Math.abs(a.pulses[0] - c.pulses[0])).toBeGreaterThan(1e-3);
    expect(Math.abs(a.noise[0] - c.noise[0])).toBeGreaterThan(1e-3);
  });

  it('follows a gliding pitch, which a frame states ahead of its centre', () => {
    const pitches = Array.from({ length: 120 }, (_, f) => 120 + 0.5 * f);
    const { pulses } = listen(pitches);
    // Every eight samples summed, so that low partials are the loudest, as a voice's are.
    const centred = Float32Array.from(pulses.subarray(TINY.fftSize / 2 + 8), (_, n) =>
      pulses.subarray(TINY.fftSize / 2 + n, TINY.fftSize / 2 + n + 8).reduce((a, b) => a + 0.1 * b, 0),
    );
    const heard = new PitchEstimator(TINY.sampleRate, TINY.spectrumHopLength).estimate(centred);
    for (let f = 20; f < 100; f++) {
      expect(heard[f].periodicity).toBeGreaterThan(0.8);
      expect(Math.abs(octavesOf(heard[f].hertz) - octavesOf(pitches[f - LEAD]))).toBeLessThan(0.02);
    }
  });

  it('holds pitches within 50 and 800 Hz', () => {
    expect([-9, -1, 0, 9].map(hertzOf)).toEqual([50, 100, 200, 800]);
  });
});

describe('the filtered source', () => {
  /** Decodes constant filters at 200 Hz. */
  const decode = (frames: number, [re, im, hiss]: number[]) => {
    const row = Array.from({ length: 3 * BINS + 1 }, (_, i) => [re, im, hiss, 0][Math.floor(i / BINS)]);
    const filters = Float32Array.from(Array.from({ length: frames }, () => row).flat());
    const overlap = new OverlapAdd(TINY.fftSize, TINY.spectrumHopLength);
    return [...overlap.add(new SourceFilter(TINY).frames(filters)), ...overlap.flush()];
  };

  it('is the source itself where filters let everything pass', () => {
    const frames = 12;
    const got = decode(frames, [1, 0, 0]);
    const { pulses } = listen(Array<number>(frames).fill(200));
    got.forEach((x, n) => expect(x).toBeCloseTo(pulses[TINY.fftSize / 2 + n], 5));
    const hissing = decode(frames, [0, 0, 1]);
    expect(powerOf(Float64Array.from(hissing))).toBeCloseTo(1, 0);
    const both = decode(frames, [1, 0, 1]);
    both.forEach((x, n) => expect(x).toBeCloseTo(got[n] + hissing[n], 5));
  });

  it('turns the pulses around where their filter is negative', () => {
    const [plain, turned] = [decode(6, [1, 0, 0]), decode(6, [-1, 0, 0])];
    turned.forEach((x, n) => expect(x).toBeCloseTo(-plain[n], 5));
  });
});

describe('the pitch estimator', () => {
  const estimator = new PitchEstimator(8000, 60);

  it('finds the pitch of a gliding tone with overtones', () => {
    const pitch = (seconds: number) => 150 + 60 * Math.sin(5 * seconds);
    let phase = 0;
    const glide = Float32Array.from({ length: 16_000 }, (_, n) => {
      phase += (2 * Math.PI * pitch(n / 8000)) / 8000;
      return 0.2 * (Math.sin(phase) + 0.7 * Math.sin(2 * phase) + 0.5 * Math.sin(3 * phase));
    });
    const estimates = estimator.estimate(glide);
    for (let f = 10; f < estimates.length - 10; f++) {
      expect(Math.abs(octavesOf(estimates[f].hertz) - octavesOf(pitch((f * 60) / 8000)))).toBeLessThan(0.03);
      expect(estimates[f].periodicity).toBeGreaterThan(0.9);
    }
  });

  it('finds none in noise, in silence and at the ends', () => {
    const noise = babble(8000, 8000).map(() => 0);
    expect(estimator.estimate(noise).every(({ periodicity }) => periodicity === 0)).toBe(true);
    const { noise: hiss } = listen(Array<number>(200).fill(100));
    const heard = estimator.estimate(Float32Array.from(hiss, (x) => 0.1 * x));
    expect(heard.filter(({ periodicity }) => periodicity > 0.7).length).toBeLessThan(heard.length * 0.05);
    expect(estimator.estimate(babble(8000, 8000))[0].periodicity).toBe(0);
  });
});
