// Frames a second of training, what share of the machine's matrix products that is, and memory: two utterances of 8
// seconds a step, or as many as --utterances says.
//   node bench/train.mjs [--size full|voice] [--precision bf16|f32|pure-bf16] [--threads 2] [--steps 3] [--profile]
//     [--device cuda] [--utterances 2]
// With --python VENV/bin/python (torch 2.5.1, transformers 4.47) and --released FOLDER (its repository) the released code
// runs the same batch instead.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  noGrad, peakDeviceMemory, profile, randn, resolveDevice, scope, setFlushDenormal, setNumThreads,
} from '@sled-tts/torch'; // prettier-ignore
import { parseConfig } from '../dist/model/config.js';
import { newRun } from '../dist/train/run.js';
import { trainStep } from '../dist/train/step.js';
import { layOutStep } from '../dist/train/step-layout.js';
import { DEFAULT_TRAINING } from '../dist/train/training-config.js';

const [FRAMES, TOKENS] = [600, 100]; // 8 seconds at 75 frames a second
const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'full' },
    precision: { type: 'string', default: 'bf16' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '3' },
    device: { type: 'string', default: 'cpu' },
    utterances: { type: 'string', default: '2' },
    profile: { type: 'boolean', default: false },
    python: { type: 'string' },
    released: { type: 'string' },
  },
});
const CONFIGS = { full: '../configs/libriheavy.json', voice: '../configs/first-voice.json' };
const json = JSON.parse(readFileSync(new URL(CONFIGS[flags.size], import.meta.url), 'utf8'));
/** Dense matrix products of an H100 SXM by its data sheet, operations a second. */
const NOMINAL_PEAK = { bf16: 989e12, f32: 67e12 };
const steps = Number(flags.steps);
const UTTERANCES = Number(flags.utterances);
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB at the most`;

const where = flags.device === 'cpu' ? `${flags.threads} threads` : flags.device;
console.log(`${flags.size}, ${flags.precision}, ${where}, ${UTTERANCES} utterances of ${FRAMES} frames`);
if (flags.python) reference();
else ours();

function ours() {
  setNumThreads(Number(flags.threads));
  setFlushDenormal(true);
  const device = resolveDevice(flags.device);
  const peak = matrixPeak(device);
  const model = parseConfig({ ...json.model, vocab_size: json.model.vocab_size ?? 16384 }, 'bench');
  const training = { ...DEFAULT_TRAINING, precision: flags.precision, warmupSteps: 0 };
  const run = newRun(model, training, device);
  const ranks = { rank: 0, size: 1, sum: (values) => [...values], gradients: null, leave() {} };
  const data = dataset(model);
  const indices = Array.from({ length: UTTERANCES }, (_, i) => i);
  const step = () => {
    const laidOut = layOutStep(data, { step: run.loop.step, indices }, { ...training, model, rank: 0, size: 1 });
    trainStep(run, { laidOut, waited: 0, training, ranks });
    run.loop.step++;
  };
  for (let i = 0; i < (device === 'cpu' ? 1 : 3); i++) step();
  settle(run.model.parameters.get('outputNorm.weight'));
  const start = performance.now();
  for (let i = 0; i < steps; i++) step();
  settle(run.model.parameters.get('outputNorm.weight'));
  const framesPerSecond = (steps * UTTERANCES * FRAMES) / ((performance.now() - start) / 1000);
  const bytes = device === 'cpu' ? process.resourceUsage().maxRSS * 1024 : peakDeviceMemory(device);
  const achieved = (operationsOf(run.model) * framesPerSecond) / (UTTERANCES * FRAMES);
  console.log(`ours      ${framesPerSecond.toFixed(0)} frames/s, ${gigabytes(bytes)}, ${(achieved / peak * 100).toFixed(0)} % of ${(peak / 1e9).toFixed(0)} Gflop/s (matrix products, measured)`); // prettier-ignore
  const nominal = NOMINAL_PEAK[flags.precision === 'f32' ? 'f32' : 'bf16'];
  if (device !== 'cpu')
    console.log(`          ${(achieved / 1e12).toFixed(1)} Tflop/s, ${(achieved / nominal * 100).toFixed(1)} % of an H100's nominal ${nominal / 1e12}`); // prettier-ignore
  if (flags.profile) printCosts(profile(step));
}

/** Waits for all that was asked of the device that holds x. */
function settle(x) {
  scope(() => x.flatten().select(0, 0).item());
}

function printCosts(costs) {
  const total = costs.reduce((sum, { seconds }) => sum + seconds, 0);
  for (const { name, calls, seconds } of costs.slice(0, 14))
    console.log(`  ${(100 * seconds / total).toFixed(1).padStart(5)} %  ${String(calls).padStart(5)}  ${name}`); // prettier-ignore
}

/** Floating point operations a second of a large matrix product. */
function matrixPeak(device) {
  const size = device === 'cpu' ? 2048 : 8192;
  return noGrad(() =>
    scope(() => {
      const type = flags.precision === 'f32' ? 'float32' : 'bfloat16';
      const [a, b] = [0, 1].map(() => randn([size, size], { device }).to(type));
      let best = Infinity;
      for (let i = 0; i < 4; i++) {
        const start = performance.now();
        settle(a.matmul(b));
        best = Math.min(best, performance.now() - start);
      }
      return (2 * size ** 3) / (best / 1000);
    }),
  );
}

/** Of a step's matrix products, forward and backward: 6 a weight and row, and half of all pairs of positions attend. */
function operationsOf({ parameters, config }) {
  const frames = UTTERANCES * FRAMES;
  const positions = frames + UTTERANCES * TOKENS;
  const rowsOf = (name) => {
    if (!name.startsWith('energyHead')) return name.startsWith('endHead') ? frames : positions;
    return name.includes('conditionProjection') ? frames : 2 * frames;
  };
  const matrices = [...parameters].filter(([name, { ndim }]) => ndim === 2 && name !== 'textEmbedding.weight');
  const products = matrices.reduce((sum, [name, { numel }]) => sum + 6 * numel * rowsOf(name), 0);
  return products + 6 * config.layers * config.width * UTTERANCES * (FRAMES + TOKENS) ** 2;
}

function dataset({ latentDim, vocabSize }) {
  const latents = Float32Array.from({ length: FRAMES * latentDim }, (_, i) => Math.sin(i * i));
  const tokens = Int32Array.from({ length: TOKENS }, (_, i) => 3 + ((i * 7) % (vocabSize - 3)));
  const sample = () => ({ id: '', text: '', tokens, frames: FRAMES, copyLatents: (out, at) => out.set(latents, at), spoken: null }); // prettier-ignore
  return { length: UTTERANCES, latentDim, frames: new Int32Array(UTTERANCES).fill(FRAMES), sample };
}

function reference() {
  const script = fileURLToPath(new URL('train-reference.py', import.meta.url));
  const input = JSON.stringify({ ...json.model, vocab_size: json.model.vocab_size ?? 16384, precision: flags.precision, threads: Number(flags.threads), steps, device: flags.device, released: flags.released, utterances: UTTERANCES, frames: FRAMES, tokens: TOKENS }); // prettier-ignore
  const child = spawnSync(flags.python, [script], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.status !== 0) process.exit(1);
  const { withCodec, withoutCodec } = JSON.parse(child.stdout);
  for (const [name, { framesPerSecond, peakBytes }] of Object.entries({
    released: withCodec,
    'no codec': withoutCodec,
  }))
    console.log(`${name.padEnd(10)}${framesPerSecond.toFixed(0)} frames/s, ${gigabytes(peakBytes)}`);
}
