// Frames a second of training, what share of the machine's matrix products that is, and memory: two utterances of 8
// seconds a step.
//   node bench/train.mjs [--size full|voice] [--precision bf16|f32|pure-bf16] [--threads 2] [--steps 3] [--profile]
// With --python VENV/bin/python (torch 2.5.1, transformers 4.47) and --released FOLDER (its repository) the released code
// runs the same batch instead.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { noGrad, profile, randn, scope, setFlushDenormal, setNumThreads } from '@sled-tts/torch';
import { parseConfig } from '../dist/model/config.js';
import { newRun } from '../dist/train/run.js';
import { trainStep } from '../dist/train/step.js';
import { layOutStep } from '../dist/train/step-layout.js';
import { DEFAULT_TRAINING } from '../dist/train/training-config.js';

const [UTTERANCES, FRAMES, TOKENS] = [2, 600, 100]; // 8 seconds at 75 frames a second
const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'full' },
    precision: { type: 'string', default: 'bf16' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '3' },
    profile: { type: 'boolean', default: false },
    python: { type: 'string' },
    released: { type: 'string' },
  },
});
const CONFIGS = { full: '../configs/libriheavy.json', voice: '../configs/first-voice.json' };
const json = JSON.parse(readFileSync(new URL(CONFIGS[flags.size], import.meta.url), 'utf8'));
const steps = Number(flags.steps);
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB at the most`;

console.log(`${flags.size}, ${flags.precision}, ${flags.threads} threads`);
if (flags.python) reference();
else ours();

function ours() {
  setNumThreads(Number(flags.threads));
  setFlushDenormal(true);
  const peak = matrixPeak();
  const model = parseConfig({ ...json.model, vocab_size: json.model.vocab_size ?? 16384 }, 'bench');
  const training = { ...DEFAULT_TRAINING, precision: flags.precision, warmupSteps: 0 };
  const run = newRun(model, training);
  const ranks = { rank: 0, size: 1, sum: (values) => [...values], gradients: null, leave() {} };
  const data = dataset(model);
  const indices = Array.from({ length: UTTERANCES }, (_, i) => i);
  const step = () => {
    const laidOut = layOutStep(data, { step: run.loop.step, indices }, { ...training, model, rank: 0, size: 1 });
    trainStep(run, { laidOut, waited: 0, training, ranks });
    run.loop.step++;
  };
  step();
  const start = performance.now();
  for (let i = 0; i < steps; i++) step();
  const framesPerSecond = (steps * UTTERANCES * FRAMES) / ((performance.now() - start) / 1000);
  const { maxRSS } = process.resourceUsage();
  const achieved = (operationsOf(run.model) * framesPerSecond) / (UTTERANCES * FRAMES);
  console.log(`ours      ${framesPerSecond.toFixed(0)} frames/s, ${gigabytes(maxRSS * 1024)}, ${(achieved / peak * 100).toFixed(0)} % of ${(peak / 1e9).toFixed(0)} Gflop/s (matrix products, measured)`); // prettier-ignore
  if (flags.profile) printCosts(profile(step));
}

function printCosts(costs) {
  const total = costs.reduce((sum, { seconds }) => sum + seconds, 0);
  for (const { name, calls, seconds } of costs.slice(0, 14))
    console.log(`  ${(100 * seconds / total).toFixed(1).padStart(5)} %  ${String(calls).padStart(5)}  ${name}`); // prettier-ignore
}

/** Floating point operations a second of a large matrix product. */
function matrixPeak() {
  const size = 2048;
  return noGrad(() =>
    scope(() => {
      const type = flags.precision === 'f32' ? 'float32' : 'bfloat16';
      const [a, b] = [randn([size, size]).to(type), randn([size, size]).to(type)];
      let best = Infinity;
      for (let i = 0; i < 4; i++) {
        const start = performance.now();
        a.matmul(b).free();
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
  const input = JSON.stringify({ ...json.model, vocab_size: json.model.vocab_size ?? 16384, precision: flags.precision, threads: Number(flags.threads), steps, released: flags.released, utterances: UTTERANCES, frames: FRAMES, tokens: TOKENS }); // prettier-ignore
  const child = spawnSync(flags.python, [script], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.status !== 0) process.exit(1);
  const { withCodec, withoutCodec } = JSON.parse(child.stdout);
  for (const [name, { framesPerSecond, peakBytes }] of Object.entries({
    released: withCodec,
    'no codec': withoutCodec,
  }))
    console.log(`${name.padEnd(10)}${framesPerSecond.toFixed(0)} frames/s, ${gigabytes(peakBytes)}`);
}
