import type { TextKind } from '../model/config.js';

/** Usual duration of a token. */
const SECONDS_PER_TOKEN: Record<TextKind, number> = { 'phonemes-en': 0.055, bpe: 0.28 };

/** Frames that a text of this many tokens usually takes. */
export const expectedFrames = (tokens: number, text: TextKind, frameRate: number): number =>
  Math.ceil(tokens * SECONDS_PER_TOKEN[text] * frameRate);
