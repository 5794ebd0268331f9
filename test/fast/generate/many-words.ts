import { expect } from 'vitest';
import { SledTts } from '../../../src/index.js';
import { toyVoice } from './toy-voice.js';

/** Speaks `count` words and one of 500 letters with a voice that holds 256 positions, and expects that none is lost. */
export async function readManyWords(count: number): Promise<void> {
  const phrases = Array.from({ length: count / 5 }, (_, i) => `hi ðɛɹ, mi nAm iz${i % 7 === 0 ? '.' : ''}`);
  const text = `${phrases.join(' ')} ${'b'.repeat(500)}`;
  const parts = await toyVoice();
  const { textPerTurn, framesPerTurn } = parts.config;
  const tts = new SledTts(parts);
  const tokens = parts.frontEnd.encode(text).length;
  const { utterances, frames } = await tts.generate(text, { guidanceScale: 1 });
  await tts.free();
  expect(tokens).toBeGreaterThan(3 * count);
  expect(utterances.length).toBeGreaterThan(count / 35);
  // An utterance draws a turn's frames for every turn of text at least, so none was lost.
  expect(frames).toBeGreaterThan((tokens / textPerTurn - 2 * utterances.length) * framesPerTurn);
}
