// Frames a second of training, and what share of the machine's matrix products that is: two utterances of 8 seconds a step.
//   node bench/train.mjs [--size full|voice] [--precision bf16|f32] [--threads 2] [--steps 3] [--python VENV/bin/python --released FOLDER]
// With --python (torch 2.5.1, transformers 4.47) and --released (its repository) the released code runs the same batch.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { noGrad, profile, randn, scope, setFlushDenormal, setNumThreads } from '@sled-tts/torch';
import { parseConfig } from '../dist/model/config.js';
import { newRun } from '../dist/train/run.js';
import { trainStep } from '../dist/train/step.js';
import { DEFAULT_TRAINING } from '../dist/train/training-config.js';

const [UTTERANCES, FRAMES, TOKENS] = [2, 600, 100]; // 8 seconds at 75 frames a second
const { values: flags } = parseArgs({
  options: {
    size: { type: 'string', default: 'full' },
    precision: { type: 'string', default: 'bf16' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '3' },
    python: { type: 'string' },
    released: { type: 'string' },
  },
});
const CONFIGS = { full: '../configs/libriheavy.json', voice: '../configs/first-voice.json' };
const json = JSON.parse(readFileSync(new URL(CONFIGS[flags.size], import.meta.url), 'utf8'));
const steps = Number(flags.steps);

setNumThreads(Number(flags.threads));
setFlushDenormal(true);
const peak = matrixPeak(flags.precision);
const { framesPerSecond, costs, parameters } = ours();
// 6 operations a weight and position, forward and backward; the energy head is counted as if it saw each frame once.
const operations = 6 * parameters * framesPerSecond;
console.log(
  `${flags.size}, ${flags.precision}, ${flags.threads} threads, ${(parameters / 1e6).toFixed(1)} million weights`,
);
console.log(`ours      ${framesPerSecond.toFixed(0)} frames/s, ${(operations / peak * 100).toFixed(0)} % of ${(peak / 1e9).toFixed(0)} Gflop/s (${flags.precision} matrix products, measured)`); // prettier-ignore
const total = costs.reduce((sum, { seconds }) => sum + seconds, 0);
for (const { name, calls, seconds } of costs.slice(0, 10))
  console.log(`  ${(100 * seconds / total).toFixed(1).padStart(5)} %  ${String(calls).padStart(5)}  ${name}`); // prettier-ignore
if (flags.python) reference(framesPerSecond);

/** Floating point operations a second of a large matrix product. */
function matrixPeak(precision) {
  const size = 2048;
  return noGrad(() =>
    scope(() => {
      const type = precision === 'bf16' ? 'bfloat16' : 'float32';
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

function ours() {
  const model = parseConfig({ ...json.model, vocab_size: json.model.vocab_size ?? 16384 }, 'bench');
  const training = { ...DEFAULT_TRAINING, precision: flags.precision, warmupSteps: 0 };
  const run = newRun(model, training);
  const ranks = { rank: 0, size: 1, sum: (values) => [...values], gradients: null, leave() {} };
  const data = dataset(model);
  const step = () => trainStep(run, { data, indices: [0, 1], training, ranks, stop: false });
  step();
  const start = performance.now();
  for (let i = 0; i < steps; i++) step();
  const seconds = (performance.now() - start) / 1000;
  return {
    framesPerSecond: (steps * UTTERANCES * FRAMES) / seconds,
    costs: profile(() => void step()),
    parameters: [...run.model.parameters.values()].reduce((sum, { numel }) => sum + numel, 0),
  };
}

function dataset({ latentDim, vocabSize }) {
  const latents = Float32Array.from({ length: FRAMES * latentDim }, (_, i) => Math.sin(i * i));
  const tokens = Int32Array.from({ length: TOKENS }, (_, i) => 3 + ((i * 7) % (vocabSize - 3)));
  const sample = () => ({ id: '', text: '', tokens, frames: FRAMES, copyLatents: (out, at) => out.set(latents, at), spoken: null }); // prettier-ignore
  return { length: UTTERANCES, latentDim, frames: new Int32Array(UTTERANCES).fill(FRAMES), sample };
}

function reference(own) {
  const script = fileURLToPath(new URL('train-reference.py', import.meta.url));
  const input = JSON.stringify({ ...json.model, vocab_size: json.model.vocab_size ?? 16384, precision: flags.precision, threads: Number(flags.threads), steps, released: flags.released, utterances: UTTERANCES, frames: FRAMES, tokens: TOKENS }); // prettier-ignore
  const child = spawnSync(flags.python, [script], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.status !== 0) process.exit(1);
  const theirs = JSON.parse(child.stdout);
  const line = (name, value) =>
    `${name.padEnd(10)}${value.toFixed(0)} frames/s; ours ${(own / value).toFixed(2)} times`;
  console.log(line('released', theirs.withCodec));
  console.log(line('no codec', theirs.withoutCodec));
}
