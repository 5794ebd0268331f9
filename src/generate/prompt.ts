import { isInterleaved, type SledConfig } from '../model/config.js';
import type { TurnLayout } from '../model/turn-plan.js';
import type { SharedPrefix } from './prefix-store.js';

/** Recorded speech that new speech goes on from. Letters: T frames, D latent channels. */
export interface Prompt {
  /** What is said in it; '' where the text to speak begins with it, as in the continuation of a recording. */
  readonly text: string;
  /** [T, D], row-major. */
  readonly latents: Float32Array;
}

/** Latents [T, D] as T frames. */
export function framesOf(latents: Float32Array, latentDim: number): Float32Array[] {
  return Array.from({ length: latents.length / latentDim }, (_, t) =>
    latents.subarray(t * latentDim, (t + 1) * latentDim),
  );
}

/** Arrays one after another. */
export function joined(arrays: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const array of arrays) {
    whole.set(array, filled);
    filled += array.length;
  }
  return whole;
}

/** Frames, given or drawn, that an interleaved model has written when it reads what follows this many tokens. */
export const framesWithin = (tokens: number, config: SledConfig): number =>
  isInterleaved(config) ? Math.floor(tokens / config.textPerTurn) * config.framesPerTurn : 0;

/**
 * Positions that are left for a text of its own after a prompt of `lead` tokens, its text and what begins every sequence. Where
 * an interleaved model has too few frames for the prompt's text it draws what is missing before it reads on.
 */
export function roomAfter(prompt: Prompt | undefined, lead: number, config: SledConfig): number {
  const given = (prompt?.latents.length ?? 0) / config.latentDim;
  return config.maxPositions - lead - Math.max(given, framesWithin(lead, config));
}

/** A prompt that leaves too little room. */
export function tooLong(prompt: Prompt, room: number, { latentDim, maxPositions }: SledConfig): RangeError {
  return new RangeError(
    `prompt: ${prompt.latents.length / latentDim} frames and their text leave ${Math.max(room, 0)} of ${maxPositions} positions; use a shorter recording`,
  );
}

/**
 * How many positions every stream with a prompt begins with, given how many of its tokens do not depend on the text that
 * follows. The unconditional row has no text: all prompt frames are the same there. The conditional row of an offline model has the
 * new text before the prompt's frames, so that only the tokens are; an interleaved one has whole turns of the prompt.
 * The last position before the first new frame is left out: it is computed with that frame.
 */
export function sharedPrefix(
  owner: object,
  config: SledConfig,
  tokens: number,
  promptFrames: number,
): SharedPrefix | undefined {
  if (promptFrames === 0) return undefined;
  return { owner, conditional: sharedPositions(tokens, promptFrames, config), unconditional: promptFrames };
}

function sharedPositions(tokens: number, frames: number, { textPerTurn, framesPerTurn }: TurnLayout): number {
  let positions = 0;
  for (;;) {
    const read = Math.min(textPerTurn, tokens);
    tokens -= read;
    positions += read;
    if (read < textPerTurn) return positions; // the turn goes on with text that is not the prompt's
    const written = Math.min(framesPerTurn, frames);
    frames -= written;
    positions += written;
    if (written < framesPerTurn) return positions - 1;
  }
}
