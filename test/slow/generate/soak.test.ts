import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { liveObjects } from '@sled-tts/ggml';
import { SledTts } from '../../../src/sled-tts.js';
import { loadVoice } from '../../../src/generate/load-voice.js';
import { shippedVoice } from '../../../src/generate/shipped-voices.js';

const TEXT = 'The ferry leaves at half past seven.';
const MEGABYTE = 2 ** 20;
/** The session's and those of the codec. */
const GRAPHS_KEPT = 48 + 3;
/** More than any graph of the shipped voice has. */
const TENSORS_OF_A_GRAPH = 1000;

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

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const residentBytes = () => {
  collectGarbage();
  return process.memoryUsage().rss;
};

test('a thousand utterances of the shipped voice, some aborted and some left, keep memory flat', async () => {
  const parts = await loadVoice(shippedVoice('wren')!, { onWarning: () => undefined });
  const tts = new SledTts(parts);
  await speakMany(tts, 200);
  const [objects, bytes] = [liveObjects(), residentBytes()];
  await speakMany(tts, 1000);
  expect(parts.session.streams).toBe(0);
  // Graphs are kept by size, at most a fixed number of them; caches, weights and backends must not grow at all.
  const { graph, context, tensor, ...others } = liveObjects();
  const { graph: graphsBefore, context: contextsBefore, tensor: tensorsBefore, ...othersBefore } = objects;
  expect(others).toEqual(othersBefore);
  expect(graph).toBeLessThanOrEqual(Math.max(graphsBefore, GRAPHS_KEPT));
  expect(context - contextsBefore).toBe(graph - graphsBefore);
  expect(tensor - tensorsBefore).toBeLessThanOrEqual((graph - graphsBefore) * TENSORS_OF_A_GRAPH);
  // What a leak of 40 KB an utterance would add; garbage apart, it moves by one or two.
  expect((residentBytes() - bytes) / MEGABYTE).toBeLessThan(40);
  await tts.free();
  expect(liveObjects()).toEqual({ backend: 0, context: 0, buffer: 0, graph: 0, tensor: 0 });
});
