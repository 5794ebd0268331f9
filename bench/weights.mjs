// Quality and speed by weight type: node bench/weights.mjs [MODEL] [FRAMES] [THREADS]
// Prints a table of docs/benchmarks.md: the voice file's size, loading from it, peak memory, the network's real-time factor with
// guidance 2, and the latents' error against float32 of the same noise: fed float32's frames (forced), and left to itself (free).
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convertVoice } from '../dist/generate/convert-voice.js';
import { resolveModel } from '../dist/generate/resolve-model.js';
import { WEIGHT_TYPES } from '../dist/generate/weights.js';
import { bytesPerFrame, draw, free, load, relativeError } from './voice-parts.mjs';

const GUIDANCE = 2;
const WARM_UP_FRAMES = 10;

if (process.env.SLED_BENCH) await measure(JSON.parse(process.env.SLED_BENCH));
else await table();

async function table() {
  const [name, frames = '100', threads] = process.argv.slice(2);
  const model = await resolveModel(name, { kind: 'model' });
  const work = mkdtempSync(join(tmpdir(), 'sled-weights-'));
  console.log(
    '| weights | file, MB | read a frame, MB | loading, ms | peak memory, MB | real-time factor | error, forced | error, free |',
  );
  console.log('|---|---|---|---|---|---|---|---|');
  try {
    for (const type of WEIGHT_TYPES) {
      const path = join(work, `${type}.gguf`);
      await convertVoice(model, path, { weights: type });
      console.log(
        row(
          type,
          path,
          run({ path, frames: Number(frames), threads: threads && Number(threads), exact: join(work, 'exact.f32') }),
        ),
      );
      rmSync(path);
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

function run(settings) {
  const environment = { ...process.env, SLED_BENCH: JSON.stringify(settings) };
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.status !== 0) process.exit(1);
  return JSON.parse(child.stdout);
}

function row(type, path, { loadMs, peakMb, factor, forced, left, readBytes }) {
  const errors = [forced, left].map((error) => (error === undefined ? '-' : error.toFixed(4)));
  const cells = [
    type,
    (statSync(path).size / 1e6).toFixed(0),
    (readBytes / 1e6).toFixed(0),
    loadMs.toFixed(0),
    peakMb.toFixed(0),
    factor.toFixed(3),
    ...errors,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** One type in this process. The first, float32, leaves its frames for the others. */
async function measure({ path, frames, threads, exact }) {
  const { parts, loadMs } = await load(path, { threads });
  const D = parts.config.latentDim;
  await draw(parts, { frames: WARM_UP_FRAMES, guidanceScale: GUIDANCE });
  const begin = performance.now();
  const drawn = await draw(parts, { frames, guidanceScale: GUIDANCE });
  const seconds = (frames * parts.codec.hopLength) / parts.codec.sampleRate;
  const factor = (performance.now() - begin) / 1000 / seconds;
  const result = { loadMs, factor, readBytes: bytesPerFrame(parts) };
  if (path.endsWith('f32.gguf')) writeFileSync(exact, Buffer.concat(drawn.map((frame) => Buffer.from(frame.buffer))));
  else {
    const { buffer } = new Uint8Array(readFileSync(exact));
    const reference = Array.from({ length: frames }, (_, t) => new Float32Array(buffer, t * D * 4, D));
    const forced = await draw(parts, { frames, guidanceScale: GUIDANCE, forced: reference });
    Object.assign(result, { forced: relativeError(forced, reference), left: relativeError(drawn, reference) });
  }
  await free(parts);
  console.log(JSON.stringify({ ...result, peakMb: process.resourceUsage().maxRSS / 1024 }));
}
