// Decoding alone, by codec, weight type and threads, beside what its products would take at the rate of a large one:
//   node bench/codec.mjs [--codec FOLDER] [--types f32,bf16] [--threads 1,2] [--chunks 0.5,0.08] [--python VENV/bin/python --sled CHECKOUT]
// FOLDER: EnCodec in Hugging Face's layout or a mel codec (default: the shipped voice's). Chunks in seconds. A factor is the time to
// compute a second of speech; medians of the chunks of ten seconds after the first two chunks. Each row is a process of its own.
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openGgml } from '@sled-tts/ggml';
import { openCodec } from '../dist/codec/index.js';
import { decoderLayers } from '../dist/codec/encodec/layers.js';
import { parseEncodecConfig } from '../dist/codec/encodec/config.js';
import { parseMelCodecConfig } from '../dist/codec/mel/config.js';
import { decoderShapes } from '../dist/codec/mel/decoder-weights.js';

const SECONDS = 10;
const LARGE = { inputs: 512, outputs: 640, columns: 200, rounds: 20 };
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const { values: flags } = parseArgs({
  options: {
    codec: { type: 'string', default: fileURLToPath(new URL('../voices/wren/codec', import.meta.url)) },
    types: { type: 'string', default: 'f32,bf16' },
    threads: { type: 'string', default: `1,${Math.min(2, availableParallelism())}` },
    chunks: { type: 'string', default: '0.5,0.08' },
    python: { type: 'string' },
    sled: { type: 'string' },
  },
});
const numbers = (list) => list.split(',').map(Number);

if (process.env.SLED_BENCH) console.log(JSON.stringify(await measure(JSON.parse(process.env.SLED_BENCH))));
else table();

function table() {
  const flops = operations(flags.codec);
  console.log(
    `${cpus()[0].model.trim()}, ${availableParallelism()} processors, ${(flops / 1e9).toFixed(2)} GFLOP a second of speech\n`,
  );
  const chunks = numbers(flags.chunks).map((seconds) => `chunks of ${seconds} s`);
  console.log(
    `| weights | threads | ${chunks.join(' | ')} | limit | a large product, GFLOP/s | opening and first chunk, ms |`,
  );
  console.log(`|${'---|'.repeat(5 + chunks.length)}`);
  for (const threads of numbers(flags.threads)) {
    for (const type of flags.types.split(',')) {
      const { factors, rate, firstMs } = child(
        process.execPath,
        [fileURLToPath(import.meta.url), ...process.argv.slice(2)],
        { threads, type },
      );
      const cells = [
        ...factors.map((factor) => factor.toFixed(3)),
        (flops / rate).toFixed(3),
        (rate / 1e9).toFixed(0),
        firstMs.toFixed(0),
      ];
      console.log(`| ${type} | ${threads} | ${cells.join(' | ')} |`);
    }
    if (!flags.python) continue;
    const script = fileURLToPath(new URL('reference.py', import.meta.url));
    const { factor } = child(flags.python, [
      script,
      flags.sled,
      'codec',
      flags.codec,
      String(SECONDS),
      String(threads),
    ]);
    console.log(`| Hugging Face's, float32, ${SECONDS} s at once | ${threads} | ${factor.toFixed(3)} | | | | |`);
  }
}

function child(command, args, settings) {
  const env = { ...process.env, ...(settings && { SLED_BENCH: JSON.stringify(settings) }) };
  const { status, stdout } = spawnSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

async function measure({ threads, type }) {
  const rate = largeProduct(threads, type);
  const opening = performance.now();
  const codec = openCodec(flags.codec, { threads, weightType: type });
  const frameRate = codec.sampleRate / codec.hopLength;
  const decoder = codec.createDecoder();
  const latents = (frames) => Float32Array.from({ length: frames * codec.latentDim }, (_, i) => Math.sin(i * i));
  while ((await decoder.decode(latents(1))).length === 0);
  const firstMs = performance.now() - opening;
  const factors = [];
  for (const seconds of numbers(flags.chunks)) {
    const frames = Math.round(seconds * frameRate);
    const times = [];
    for (let i = -2; i < (SECONDS * frameRate) / frames; i++) {
      const begin = performance.now();
      await decoder.decode(latents(frames));
      if (i >= 0) times.push(performance.now() - begin);
    }
    factors.push(median(times) / 1000 / (frames / frameRate));
  }
  decoder.free();
  await codec.free();
  return { factors, rate, firstMs };
}

/** Operations a second of a product that has enough to do, the best of some. */
function largeProduct(threads, type) {
  const { inputs, outputs, columns, rounds } = LARGE;
  const ggml = openGgml();
  const backend = ggml.backend('cpu', { threads });
  const context = ggml.context();
  const [w, x] = [context.tensor(type, [inputs, outputs]), context.input('f32', [inputs, columns])];
  context.allocate(backend, { interleave: true });
  const graph = context.graph();
  graph.expand(context.ops.mulMat(w, x).output());
  graph.allocate(backend);
  let best = Infinity;
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    graph.computeSync();
    best = Math.min(best, performance.now() - begin);
  }
  for (const owner of [graph, context, backend]) owner.free();
  return (2 * inputs * outputs * columns) / (best / 1000);
}

/** Two for each weight of a product and each of the columns that it meets in a second. */
function operations(folder) {
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  return config.model_type === 'encodec'
    ? encodecOperations(parseEncodecConfig(config))
    : melOperations(parseMelCodecConfig(config));
}

function encodecOperations(config) {
  let columns = config.sampleRate / config.ratios.reduce((a, b) => a * b);
  const convolution = ({ inputs, outputs, kernel }) => 2 * inputs * outputs * kernel * columns;
  return decoderLayers(config).reduce((sum, layer) => {
    if (layer.kind === 'convolution') return sum + convolution(layer);
    if (layer.kind === 'lstm') return sum + layer.layers * 2 * 8 * layer.width ** 2 * columns;
    if (layer.kind === 'residual')
      return [layer.first, layer.second, layer.shortcut].reduce(
        (all, part) => all + (part ? convolution(part) : 0),
        sum,
      );
    if (layer.kind === 'elu') return sum;
    const own = convolution({ ...layer, kernel: 2 * layer.stride });
    columns *= layer.stride;
    return sum + own;
  }, 0);
}

function melOperations(config) {
  const spectra = config.sampleRate / config.spectrumHopLength;
  return [...decoderShapes(config)].reduce((sum, [name, shape]) => {
    const perSecond = /^(input|upsample)\./.test(name) ? spectra / config.stackedFrames : spectra;
    return shape.length > 1 ? sum + 2 * shape.reduce((a, b) => a * b) * perSecond : sum;
  }, 0);
}
