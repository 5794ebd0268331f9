import { Command } from 'commander';
import { AudioError } from '../audio/audio.js';
import { AudioFileWriter } from '../audio/write-audio.js';
import {
  codecOption,
  debugOption,
  deviceOption,
  formatOption,
  guidanceOption,
  loadSpeaker,
  maxFramesOption,
  modelOption,
  quietOption,
  rateOption,
  seedOption,
  temperatureOption,
  threadsOption,
  voiceOption,
  voicePrompt,
  weightsOption,
  type VoiceFlags,
} from './options.js';
import { describeTime, speak } from './speak.js';
import { playbackOutput, stdoutOutput, type SpeechOutput } from './speech-output.js';
import { textPieces } from './text-input.js';
import { TimingsFile, timingsOption } from './timings.js';
import type { World } from './world.js';

interface StreamFlags extends VoiceFlags {
  out?: string;
  raw?: boolean;
  timings?: string;
}

/** `stream`: standard input is spoken while it is being written. */
export function streamCommand(world: World): Command {
  return new Command('stream')
    .description('speak standard input while it arrives, to the loudspeaker or into a pipe')
    .option('--out <file>', "a sound file, or '-' for standard output (the default in a pipe)")
    .addOption(formatOption())
    .option('--raw', 'raw 16-bit little-endian samples to standard output: --format pcm')
    .addOption(seedOption())
    .addOption(guidanceOption())
    .addOption(temperatureOption())
    .addOption(modelOption())
    .addOption(codecOption())
    .addOption(voiceOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addOption(weightsOption())
    .addOption(maxFramesOption())
    .addOption(rateOption())
    .addOption(timingsOption())
    .addOption(quietOption())
    .addOption(debugOption())
    .action((flags: StreamFlags) => stream(world, flags));
}

async function stream(world: World, flags: StreamFlags): Promise<void> {
  const { seed, guidance, temperature, rate, maxFrames, quiet = false } = flags;
  const prompt = await voicePrompt(flags.voice);
  const speaker = await loadSpeaker(world, flags);
  try {
    const output = await openStreamOutput(world, flags, speaker.sampleRate);
    world.signal.addEventListener('abort', () => void output.abort(), { once: true });
    const timings = new TimingsFile(flags.timings);
    const { onWord } = timings;
    const options = {
      seed,
      guidanceScale: guidance,
      temperature,
      rate,
      maxFrames,
      prompt,
      onWord,
      signal: world.signal,
    };
    const time = await speak(
      speaker.stream(textPieces(world.stdin, world.signal), options),
      speaker.sampleRate,
      [output],
      world.signal,
    );
    await output.close();
    if (time.firstAudioSeconds === undefined) throw new Error('stream: expected some text, got none');
    timings.write();
    if (!quiet) world.stderr.write(`${describeTime(time)}\n`);
  } finally {
    await speaker.free();
  }
}

async function openStreamOutput(world: World, flags: StreamFlags, sampleRate: number): Promise<SpeechOutput> {
  if (flags.raw && flags.out !== undefined && flags.out !== '-')
    throw new Error(`stream: '--raw' is for standard output; name the file .pcm instead of ${flags.out}`);
  if (flags.raw && flags.format !== undefined && flags.format !== 'pcm')
    throw new Error(`stream: '--raw' is '--format pcm', not ${flags.format}`);
  const format = flags.raw ? 'pcm' : flags.format;
  const out = flags.out ?? (world.stdout.isTTY ? undefined : '-');
  if (out !== undefined && out !== '-') return AudioFileWriter.open(out, sampleRate, { format });
  if (out === '-' && world.stdout.isTTY) throw new Error("stream: '--out -' writes sound; pipe it or give a file name");
  if (out === '-') return stdoutOutput(world.stdout, sampleRate, format);
  const player = playbackOutput(sampleRate);
  if (!player) throw new AudioError("stream: no program to play sound with was found; use '--out' or a pipe");
  return player;
}
