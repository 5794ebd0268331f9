import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openGgmlAsync, type NativeCall } from '@sled-tts/ggml';
import { convertVoice } from '../../../src/generate/convert-voice.js';
import { shippedVoice } from '../../../src/generate/shipped-voices.js';
import { SledTts } from '../../../src/index.js';

/** What takes long at full size: none of it may run in the thread that the program runs in. */
const ON_WORKERS = [
  'ggml_backend_load_all_from_path',
  'ggml_backend_dev_init',
  'ggml_backend_buffer_clear',
  'ggml_backend_graph_compute',
  'ggml_backend_free',
  'ggml_quantize_chunk',
  'to_float',
  'madvise',
  'munmap',
];
/** A graph is made of hundreds of calls, which our own library makes elsewhere. */
const OF_GRAPHS = ['ggml_view_4d', 'ggml_add', 'ggml_build_forward_expand', 'ggml_gallocr_alloc_graph'];
/** A processor's memory is written and read without them. */
const COPIES = ['ggml_backend_tensor_set', 'ggml_backend_tensor_get'];
/** What a graph sets once, when it is built. */
const SMALL_COPY_BYTES = 1 << 16;
const TEXT = 'The ferry leaves at half past seven.';

const directory = mkdtempSync(join(tmpdir(), 'sled-thread-'));
afterAll(() => rmSync(directory, { recursive: true }));
const calls: NativeCall[] = [];

/** Loads, speaks once and then nine times at once (more than the first cache holds), makes a voice, speaks on from it, and frees. */
async function useVoice(model: string): Promise<void> {
  const tts = await SledTts.load({ model, onWarning: () => undefined });
  const speech = await tts.generate(TEXT, { maxFrames: 30 });
  const streams = Array.from({ length: 9 }, (_, seed) => tts.generate(TEXT, { seed, maxFrames: 3 }));
  await Promise.all(streams);
  const prompt = await tts.createVoice({ ...speech, text: TEXT });
  await tts.generate(TEXT, { prompt, maxFrames: 2 });
  await tts.free();
}

test('loading, speaking, growing, cloning and freeing wait for no native call that takes long', async () => {
  const ggml = await openGgmlAsync({ onCall: (call) => calls.push(call) });
  const [shipped, file] = [shippedVoice('wren')!, join(directory, 'wren.gguf')];
  await convertVoice(shipped, file, { weights: 'q8_0' });
  calls.length = 0;
  await useVoice(shipped);
  await useVoice(file);
  const made = (...names: string[]) => calls.filter(({ name }) => names.includes(name));
  const elsewhere = ggml.native.assembler ? [...ON_WORKERS, ...OF_GRAPHS] : ON_WORKERS;
  expect(made(...elsewhere).map(({ name }) => name)).toEqual([]);
  // Buffers of no bytes ask whether a kind of memory can hold a type; others are taken and given back elsewhere.
  const allocated = made('ggml_backend_buft_alloc_buffer').map(({ args }) => args[1]);
  expect(Math.max(...(allocated as number[]))).toBe(0);
  expect(made('ggml_backend_buffer_free')).toHaveLength(allocated.length);
  expect(made(...COPIES).filter(({ args }) => Number(args[3]) > SMALL_COPY_BYTES)).toEqual([]);
  // What is counted above is there under these names.
  for (const name of [...ON_WORKERS, ...OF_GRAPHS, ...COPIES].filter(
    (name) => name.startsWith('ggml_') && !name.includes('load'),
  ))
    expect(name.slice('ggml_'.length) in ggml.native.ggml, name).toBe(true);
});

test('a voice whose graphs are built speaks without a native call that this thread waits for', async () => {
  const tts = await SledTts.load({ model: shippedVoice('wren')!, onWarning: () => undefined });
  await tts.generate(TEXT, { maxFrames: 30 });
  calls.length = 0;
  const { samples } = await tts.generate(TEXT, { maxFrames: 30 });
  expect(samples.length).toBeGreaterThan(1000);
  expect(calls.map(({ name }) => name)).toEqual([]);
  await tts.free();
});
