import { expect, test } from 'vitest';
import { MonotonicPath } from '../../../src/generate/monotonic-path.js';
import { randomNumbers } from '../text/cuts.js';

/** Frames that look at these tokens, of as many as were read by then. */
const looks = (tokens: (number | [number, number])[], read = Math.max(...tokens.flat()) + 1) =>
  tokens.map((at) => {
    const weights = new Float32Array(read).fill(0.001);
    if (typeof at === 'number') weights[at] = 0.9;
    else [weights[at[0]], weights[at[1]]] = [0.6, 0.3];
    return weights;
  });

function follow(frames: readonly Float32Array[]) {
  const path = new MonotonicPath();
  const pushed = frames.map((weights) => path.push(weights));
  return { path: [...pushed.flat(), ...path.end()], pushed };
}

/** Log weight of a path. */
const worth = (frames: readonly Float32Array[], path: readonly number[]) =>
  path.reduce((sum, token, t) => sum + Math.log(Math.max(frames[t][token], 1e-3)), 0);

/** The best of all paths that never go back, by trying each. */
function best(frames: readonly Float32Array[], t = 0, from = 0): number[] {
  if (t === frames.length) return [];
  const paths = [...frames[t].keys()].slice(from).map((token) => [token, ...best(frames, t + 1, token)]);
  return paths.reduce((a, b) => (worth(frames.slice(t), b) > worth(frames.slice(t), a) ? b : a));
}

test('follows attention, and does not go back for a glance at what was said or is to come', () => {
  expect(follow(looks([0, 1, 1, 2, 4, 4])).path).toEqual([0, 1, 1, 2, 4, 4]);
  expect(follow(looks([0, 1, 2, [1, 3], 3, 4])).path).toEqual([0, 1, 2, 3, 3, 4]);
  expect(follow(looks([0, 5, 1, 2, 3, 4, 5])).path).toEqual([0, 0, 1, 2, 3, 4, 5]);
});

test('is the best of all paths that never go back', () => {
  const random = randomNumbers(3);
  for (let trial = 0; trial < 40; trial++) {
    const frames = Array.from({ length: 6 }, () => Float32Array.from({ length: 5 }, () => random() ** 4));
    expect(worth(frames, follow(frames).path)).toBeCloseTo(worth(frames, best(frames)), 6);
  }
});

test('tells a token a few frames after it sounded, the same as in the end', () => {
  const frames = looks(Array.from({ length: 100 }, (_, t) => Math.floor(t / 2)));
  const { path, pushed } = follow(frames);
  expect(path).toEqual(Array.from({ length: 100 }, (_, t) => Math.floor(t / 2)));
  pushed.forEach((_, t) => expect(pushed.slice(0, t + 1).flat().length).toBeGreaterThan(t - 8));
});

test('takes text that is read later', () => {
  const frames = [...looks([0, 1, 1], 2), ...looks([2, 3], 4)];
  expect(follow(frames).path).toEqual([0, 1, 1, 2, 3]);
  expect(follow([]).path).toEqual([]);
});
