import { expect, test } from 'vitest';
import { runChild } from '../child.js';

test.each([{}, { SLED_GGML_KERNELS: 'off' }])(
  'thousands of random calls, right and wrong, never end the process: %j',
  async (settings) => {
    const { code, signal, output } = await runChild('random-calls.ts', ['1', '40'], settings);
    expect({ code, signal }, output.slice(-2000)).toEqual({ code: 0, signal: null });
    const summary = JSON.parse(output.trim().split('\n').at(-1) ?? '{}');
    expect(summary.unclear).toEqual([]);
    expect(summary.refused).toBeGreaterThan(2000);
    expect(summary.computed).toBeGreaterThan(20);
    // Neither all refused nor all accepted: the calls reach what they are meant to test.
    expect(summary.acceptedOperations.length).toBeGreaterThan(45);
    expect(summary.refusedOperations.length).toBeGreaterThan(45);
  },
  120_000,
);
