// Speed and memory of speaking by thread count, a fresh process each: node bench/say.mjs [MODEL] [THREADS...]
// Prints the table of docs/benchmarks.md. Measure on a quiet machine: threads that wait for each other suffer most from others.
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const TEXTS = [
  'The ferry leaves at half past seven.',
  'She had hoped to see the lighthouse, but the fog was thick and the path along the cliff was closed.',
  'Nobody in the village could say who had painted the door, or why it was blue.',
];
const ROUNDS = 5;

const [model, ...counts] = process.argv.slice(2);
if (process.env.SLED_BENCH_THREADS) await measure(Number(process.env.SLED_BENCH_THREADS));
else table(counts.length > 0 ? counts.map(Number) : defaultCounts());

/** 1, 2, 4, ... up to the processors. */
function defaultCounts() {
  const all = availableParallelism();
  return [1, 2, 4, 8, 16].filter((count) => count < all).concat(all);
}

function table(threadCounts) {
  const [{ model: processor }] = cpus();
  console.log(
    `${processor.trim()}, ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}\n`,
  );
  console.log('| threads | real-time factor | first sound after, ms | loading, ms | peak memory, MB |');
  console.log('|---|---|---|---|---|');
  for (const threads of threadCounts) {
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), model ?? ''], {
      env: { ...process.env, SLED_BENCH_THREADS: String(threads) },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.status !== 0) process.exit(1);
    const { factor, firstMs, loadMs, peakMb } = JSON.parse(child.stdout);
    const cells = [threads, factor.toFixed(3), firstMs.toFixed(0), loadMs.toFixed(0), peakMb.toFixed(0)];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

/** One thread count in this process: medians over the rounds, after one round to warm up. */
async function measure(threads) {
  const start = performance.now();
  const { SledTts } = await import('../dist/index.js');
  const tts = await SledTts.load({ threads, ...(model ? { model } : {}) });
  const loadMs = performance.now() - start;
  const [factors, firsts] = [[], []];
  for (let round = -1; round < ROUNDS; round++) {
    let [computeMs, seconds] = [0, 0];
    for (const text of TEXTS) {
      const begin = performance.now();
      let first;
      for await (const samples of tts.stream(text, { seed: Math.max(round, 0) })) {
        first ??= performance.now() - begin;
        seconds += samples.length / tts.sampleRate;
      }
      computeMs += performance.now() - begin;
      if (round >= 0) firsts.push(first);
    }
    if (round >= 0) factors.push(computeMs / 1000 / seconds);
  }
  await tts.free();
  const peakMb = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ factor: median(factors), firstMs: median(firsts), loadMs, peakMb }));
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
