// The whole pipeline, network and codec, beside the released Python code in one run:
//   node bench/speak.mjs --model FOLDER [--frames 230] [--threads N] [--device gpu] [--types q4_K,q8_0,bf16,f32] [--python VENV/bin/python --sled CHECKOUT]
// FOLDER: a checkpoint in the released layout with its codec in codec/; `python bench/reference.py CHECKOUT write FOLDER` makes one.
// The limit is the time to read a frame's weights once at the bandwidth that bench/bandwidth.mjs measures. Key and value cache, noise and
// activations come on top. First sound: from a text's first six words to the first samples, streaming, warm. All are medians
// of five: one stream, one without guidance and four in turn.
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openGgml } from '@sled-tts/ggml';
import { SledTts } from '../dist/index.js';
import { memoryBandwidth } from './bandwidth.mjs';
import { bytesPerFrame, draw, free, load, TEXT } from './voice-parts.mjs';

const ROUNDS = 5;
const WARM_UP_FRAMES = 10;
const STREAMS = 4;
const TURNS = { textPerTurn: 5, framesPerTurn: 45 };
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    frames: { type: 'string', default: '230' },
    threads: { type: 'string' },
    device: { type: 'string', default: 'cpu' },
    types: { type: 'string', default: 'q4_K,q8_0,bf16,f32' },
    guidance: { type: 'string', default: '2' },
    python: { type: 'string' },
    sled: { type: 'string' },
  },
});

if (process.env.SLED_BENCH) await measure(JSON.parse(process.env.SLED_BENCH));
else await table();

async function table() {
  const bandwidth = await memoryBandwidth(availableParallelism(), flags.device);
  const [{ model: processor }] = cpus();
  const { description } = openGgml().devices().find(({ kind, name }) => [kind, name].includes(flags.device)); // prettier-ignore
  const gpu = flags.device === 'cpu' ? '' : `${description}, `;
  console.log(
    `${gpu}${processor.trim()}, ${availableParallelism()} processors, ${(bandwidth / 1e9).toFixed(1)} GB/s, guidance ${flags.guidance}, ${flags.frames} frames\n`,
  );
  console.log(
    '| | network, ms a frame | limit, ms | the text before it, ms | network without guidance, ms | codec, of real time | real-time factor | four streams, of one | first sound, ms |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|');
  for (const weights of flags.types.split(',')) {
    const result = child(process.execPath, [fileURLToPath(import.meta.url)], { weights, ...flags });
    const limit = (result.readBytes / bandwidth) * 1000;
    const { guidedMs, prefillMs, singleMs, codecFactor, factor, fourStreams, firstMs } = result;
    const cells = [
      `ours, ${weights}`,
      guidedMs.toFixed(1),
      limit.toFixed(1),
      prefillMs.toFixed(0),
      singleMs.toFixed(1),
      codecFactor.toFixed(3),
      factor.toFixed(3),
      fourStreams.toFixed(2),
      firstMs.toFixed(0),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  if (flags.python) for (const type of ['float32', 'bfloat16']) reference(type);
}

function reference(type) {
  const script = fileURLToPath(new URL('reference.py', import.meta.url));
  const { networkMs, codecMs } = child(flags.python, [
    script,
    flags.sled,
    'time',
    flags.model,
    type,
    flags.frames,
    flags.guidance,
    TEXT,
    flags.device === 'cpu' ? 'cpu' : 'cuda',
  ]);
  const frameMs = 1000 / 75; // EnCodec's 24 kHz
  const factors = [codecMs / frameMs, (networkMs + codecMs) / frameMs].map((value) => value.toFixed(3));
  console.log(`| released code, ${type} | ${networkMs.toFixed(1)} | | | | ${factors.join(' | ')} | | |`);
}

function child(command, args, settings) {
  const environment = { ...process.env, ...(settings && { SLED_BENCH: JSON.stringify(settings) }) };
  const { status, stdout } = spawnSync(command, args, {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** One weight type in this process. */
async function measure({ model, weights, frames: count, guidance, threads, device }) {
  const { parts } = await load(model, { weights, device, threads: threads && Number(threads) });
  const [frames, guidanceScale] = [Number(count), Number(guidance)];
  const timed = async (work) => {
    const begin = performance.now();
    await work();
    return performance.now() - begin;
  };
  // Of a frame once the text is in the cache, with `streams` at once, and of the text itself.
  const step = async (options, streams = 1) => {
    const begin = performance.now();
    let first = begin;
    const onFirst = () => (first = performance.now());
    await Promise.all(Array.from({ length: streams }, (_, seed) => draw(parts, { frames, seed, onFirst, ...options })));
    return { ms: (performance.now() - first) / (frames - 1), firstMs: first - begin };
  };
  await draw(parts, { frames: WARM_UP_FRAMES, guidanceScale });
  await step({ guidanceScale, frames: WARM_UP_FRAMES }, STREAMS);
  const [one, single, four] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    one.push(await step({ guidanceScale }));
    single.push(await step({ guidanceScale: 1 }));
    four.push(await step({ guidanceScale }, STREAMS));
  }
  const msOf = (steps) => median(steps.map(({ ms }) => ms));
  const [guidedMs, singleMs, fourStreams] = [msOf(one), msOf(single), msOf(four) / msOf(one)];
  const prefillMs = median(one.map(({ firstMs }) => firstMs));
  const secondsPerFrame = parts.codec.hopLength / parts.codec.sampleRate;
  const codecFactor = await decodeFactor(parts, frames);
  const tts = new SledTts(parts);
  const speaking = [];
  for (let round = 0; round < ROUNDS; round++)
    speaking.push(await timed(() => tts.generate(TEXT, { maxFrames: frames, guidanceScale })));
  const factor = median(speaking) / 1000 / (frames * secondsPerFrame);
  const firstMs = await firstSound(parts, guidanceScale);
  const readBytes = bytesPerFrame(parts);
  await free(parts);
  console.log(JSON.stringify({ guidedMs, prefillMs, singleMs, fourStreams, codecFactor, factor, firstMs, readBytes }));
}

/** Time to decode a second of speech, in chunks of half a second, after one chunk to warm up. */
async function decodeFactor({ codec }, frames) {
  const rate = codec.sampleRate / codec.hopLength;
  const chunk = Math.round(rate / 2);
  const latents = Float32Array.from({ length: frames * codec.latentDim }, (_, i) => Math.sin(i * i));
  const decoder = codec.createDecoder();
  await decoder.decode(latents.slice(0, chunk * codec.latentDim));
  const begin = performance.now();
  for (let t = 0; t < frames; t += chunk)
    await decoder.decode(latents.slice(t * codec.latentDim, (t + chunk) * codec.latentDim));
  await decoder.flush();
  const seconds = (performance.now() - begin) / 1000;
  decoder.free();
  return seconds / (frames / rate);
}

/** From six words, more than a turn's five tokens, to the first samples; the writer then keeps silent. Median, warm. */
async function firstSound(parts, guidanceScale) {
  const config = { ...parts.config, ...(parts.config.textPerTurn === Infinity ? TURNS : {}) };
  const tts = new SledTts({ ...parts, config });
  const times = [];
  for (let round = -1; round < ROUNDS; round++) {
    let end;
    const silence = new Promise((resolve) => (end = resolve));
    const words = async function* () {
      yield 'It was silent and gloomy, being ';
      await silence;
    };
    const begin = performance.now();
    const speech = tts.stream(words(), { guidanceScale });
    const first = await speech.next();
    if (round >= 0) times.push(performance.now() - begin);
    if (first.done) throw new Error('firstSound: nothing was spoken');
    end();
    await speech.return();
  }
  return median(times);
}
