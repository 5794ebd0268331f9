import { describe, expect, it } from 'vitest';
import { speakingType } from '../../../src/codec/speaking-type.js';

describe("the type of a codec's matrices to speak", () => {
  const quick = process.arch === 'x64' ? 'bf16' : 'f32';
  it.each([
    [undefined, undefined, quick],
    ['cpu', 'q8_0', quick],
    ['cpu', 'f32', 'f32'],
    ['gpu', 'q8_0', 'f32'],
  ])('on %s, beside a network in %s, is %s', (device, network, type) => {
    expect(speakingType(device, network)).toBe(type);
  });
});
