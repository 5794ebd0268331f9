// What the main thread waits for while a voice is loaded, speaks and is freed: node bench/main-thread.mjs [MODEL] [--threads N] [--device gpu] [--calls]
// Prints a table of docs/benchmarks.md: a phase's longest native calls that ran in this thread (and how much of each the thread had a
// processor: the system may stop it anywhere), the longest by that time, the event loop's longest stall, and how
// much of the phase's time the thread was busy in native calls and in JavaScript. --calls lists every function's calls.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { openGgmlAsync } from '@sled-tts/ggml';
import { loadVoice } from '../dist/generate/load-voice.js';
import { resolveModel } from '../dist/generate/resolve-model.js';
import { SledTts } from '../dist/index.js';
import { TEXT } from './voice-parts.mjs';

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const STREAMS = 8;
const LONGEST_SHOWN = 3;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string' },
    device: { type: 'string' },
    calls: { type: 'boolean' },
    seconds: { type: 'string', default: '12' },
  },
});

let calls = [];
const directory = await resolveModel(positionals[0], { kind: 'model' });
const maxSeconds = Number(flags.seconds);
console.log(
  '| phase | wall, ms | longest native calls, ms (of them with a processor) | longest with a processor, ms | longest stall, ms | busy in native calls | busy in JavaScript |',
);
console.log('|---|---|---|---|---|---|---|');
await phase('opening ggml', () => openGgmlAsync({ onCall: (call) => calls.push(call) }));
const parts = await phase('loading', () =>
  loadVoice(directory, {
    onWarning: () => undefined,
    device: flags.device,
    ...(flags.threads && { threads: Number(flags.threads) }),
  }),
);
const tts = new SledTts(parts, { onWarning: () => undefined });
const speech = await phase('first speech', () => tts.generate(TEXT, { maxSeconds: 2 }));
await phase('second speech', () => tts.generate(TEXT, { maxSeconds: 2 }));
await phase('long speech', () => tts.generate(`${TEXT} `.repeat(4), { maxSeconds: 2 * maxSeconds }));
await phase(`${STREAMS} streams`, () =>
  Promise.all(Array.from({ length: STREAMS }, (_, seed) => tts.generate(TEXT, { seed, maxSeconds }))),
);
const voice = await phase('cloning', () => tts.createVoice({ ...speech, text: '' }));
await phase('speech of a clone', () => tts.generate(TEXT, { prompt: voice, maxSeconds }));
await phase('freeing', () => tts.free());

/** Runs a phase and prints its row. */
async function phase(name, work) {
  calls = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await new Promise((resolve) => setTimeout(resolve, 20)); // what came before is over
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 5)); // the first sample
  const before = performance.eventLoopUtilization();
  const begin = performance.now();
  const result = await work();
  const wall = performance.now() - begin;
  const { active } = performance.eventLoopUtilization(before);
  await new Promise((resolve) => setTimeout(resolve, 5)); // a stall is seen once it is over
  delay.disable();
  const native = calls.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const cells = [
    name,
    wall.toFixed(0),
    longest(calls),
    calls.reduce((most, { processorMilliseconds }) => Math.max(most, processorMilliseconds), 0).toFixed(1),
    (delay.max / 1e6).toFixed(1),
    percent(native / wall),
    percent(Math.max(0, active - native) / wall),
  ];
  console.log(`| ${cells.join(' | ')} |`);
  if (flags.calls) console.table(byName(calls));
  return result;
}

/** The functions whose longest calls are the longest. */
function longest(made) {
  const functions = byName(made).slice(0, LONGEST_SHOWN);
  return functions
    .map(
      ({ name, longest, processor }) => `${name.replace('ggml_', '')} ${longest.toFixed(1)} (${processor.toFixed(1)})`,
    )
    .join(', ');
}

function byName(made) {
  const names = Map.groupBy ? Map.groupBy(made, ({ name }) => name) : grouped(made);
  return [...names]
    .map(([name, all]) => {
      const slowest = all.reduce((most, call) => (call.milliseconds > most.milliseconds ? call : most));
      const total = all.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
      return {
        name,
        calls: all.length,
        longest: slowest.milliseconds,
        processor: slowest.processorMilliseconds,
        total,
      };
    })
    .sort((a, b) => b.longest - a.longest);
}

function grouped(made) {
  const names = new Map();
  for (const call of made) names.set(call.name, [...(names.get(call.name) ?? []), call]);
  return names;
}
