import { expect, test } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import { SledTts } from '../../../src/sled-tts.js';
import { toyVoice } from '../../fast/generate/toy-voice.js';

const TEXT = 'hi ðɛɹ, mi nAm iz tI. hW ɑɹ ju?';
const MEGABYTE = 2 ** 20;

/** Speaks `count` texts, up to four at a time; every fifth is aborted on its way, every seventh left by its reader. */
async function speakMany(tts: SledTts, count: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) {
      const controller = new AbortController();
      const stream = tts.stream(TEXT, { seed: i, maxFrames: 4 + (i % 9), signal: controller.signal });
      try {
        for await (const _ of stream) {
          if (i % 5 === 0) controller.abort(new Error('aborted'));
          if (i % 7 === 0) break;
        }
      } catch (error) {
        expect((error as Error).message).toBe('aborted');
      }
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

const residentBytes = () => {
  globalThis.gc?.();
  return process.memoryUsage().rss;
};

test('a thousand utterances, some aborted and some left, keep memory flat', async () => {
  const parts = await toyVoice();
  const tts = new SledTts(parts);
  await speakMany(tts, 200);
  const [objects, bytes] = [liveObjects(), residentBytes()];
  await speakMany(tts, 1000);
  expect(parts.session.streams).toBe(0);
  expect(parts.codec.decoders).toBe(0);
  // Graphs are kept by size, at most a fixed number of them; caches, weights and backends must not grow at all.
  const { graph, context, ...others } = liveObjects();
  const { graph: graphsBefore, context: contextsBefore, ...othersBefore } = objects;
  expect(others).toEqual(othersBefore);
  expect(graph).toBeLessThanOrEqual(Math.max(graphsBefore, 48));
  expect(context - contextsBefore).toBe(graph - graphsBefore);
  // What a leak of 40 KB an utterance would add; the heap's own breathing is below it.
  expect((residentBytes() - bytes) / MEGABYTE).toBeLessThan(40);
  await tts.free();
});
