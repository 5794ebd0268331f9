import { Command } from 'commander';
import { describeMissing, setLoudness } from '../audio/loudness.js';
import { joinSamples } from '../audio/mix-down.js';
import { joined } from '../generate/prompt.js';
import { writeNpy } from '../model/npy.js';
import {
  codecOption,
  debugOption,
  deviceOption,
  formatOption,
  guidanceOption,
  integer,
  latentsOption,
  loadSpeaker,
  maxFramesOption,
  modelOption,
  number,
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
import { ProgressBar } from './progress-bar.js';
import { describeTime, speak } from './speak.js';
import { writeReadings } from './readings.js';
import { openOutput, playbackOutput } from './speech-output.js';
import { readText } from './text-input.js';
import { TimingsFile, timingsOption } from './timings.js';
import type { SpeakOptions, Speaker, World } from './world.js';

/** Readings that one batch may hold: every stream of a session. */
const MAX_COUNT = 16;

/** The flags of what speaks into a file. */
export interface SayFlags extends VoiceFlags {
  loudness?: number;
  out: string;
  latents?: string;
  timings?: string;
  count?: number;
}

/** `say "text"`: a sound file, and the sound itself where the machine can. */
export function sayCommand(world: World): Command {
  return new Command('say')
    .description('speak a text')
    .argument('[text...]', "what to say; '-' or nothing reads standard input")
    .option('--out <file>', "the sound file, .wav, .flac, .mp3, .opus or .pcm; '-' is standard output", 'speech.wav')
    .addOption(formatOption())
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
    .option('--loudness <LUFS>', 'make the whole sound this loud (ITU-R BS.1770), such as -16', number(-60, 0))
    .addOption(timingsOption())
    .addOption(latentsOption())
    .option('--count <number>', 'so many readings, in files numbered from 1', integer(1, MAX_COUNT))
    .option('--play', 'play the sound, or say why not')
    .option('--no-play', 'do not play the sound; it is played on a terminal where the machine can')
    .addOption(quietOption())
    .addOption(debugOption())
    .action((words: string[], flags: SayFlags) => say(world, words, flags));
}

async function say(world: World, words: string[], flags: SayFlags): Promise<void> {
  const { stdin, stdout, signal } = world;
  if (flags.out === '-' && stdout.isTTY) throw new Error("say: '--out -' writes sound; pipe it or give a file name");
  const text = await readText(words, stdin, signal);
  if (text.trim() === '') throw new Error('say: expected some text, got none');
  const prompt = await voicePrompt(flags.voice);
  await speakToFile(world, text, flags, async () => ({ prompt }));
}

/** Loads a model and speaks a text into a file, after what `prompted` makes with the model. */
export async function speakToFile(
  world: World,
  text: string,
  flags: SayFlags,
  prompted: (speaker: Speaker) => Promise<Pick<SpeakOptions, 'prompt' | 'includePrompt'>>,
): Promise<void> {
  const { out, seed, guidance, temperature, rate, maxFrames, quiet = false } = flags;
  const { stdout, stderr, signal } = world;
  const speaker = await loadSpeaker(world, flags);
  try {
    const options = {
      seed,
      guidanceScale: guidance,
      temperature,
      rate,
      maxFrames,
      signal,
      ...(await prompted(speaker)),
    };
    if (flags.count !== undefined && flags.count > 1)
      return await writeReadings(world, speaker, text, { ...flags, ...options, count: flags.count });
    const file = await openOutput(out, stdout, speaker.sampleRate, flags.format);
    const player = wantsPlayback(world, flags) ? playbackOutput(speaker.sampleRate) : undefined;
    if (flags.play && !player) stderr.write('sled-tts: no program to play sound with was found on this machine\n');
    const bar = new ProgressBar(stderr, !quiet);
    const frames: Float32Array[] = [];
    const timings = new TimingsFile(flags.timings);
    const spoken = speaker.stream(text, {
      ...options,
      onProgress: (progress) => bar.update(progress),
      onFrame: (latent) => flags.latents !== undefined && frames.push(latent),
      onWord: timings.onWord,
    });
    const chunks = flags.loudness === undefined ? spoken : levelled(spoken, speaker.sampleRate, flags.loudness, world);
    const time = await speak(chunks, speaker.sampleRate, player ? [file, player] : [file], signal).finally(() =>
      bar.stop(),
    );
    await file.close();
    timings.write();
    if (flags.latents !== undefined) writeNpy(flags.latents, joined(frames), [frames.length, frames[0]?.length ?? 0]);
    if (!quiet) (out === '-' ? stderr : stdout).write(`${describeTime(time)}: ${out}\n`);
    await finishPlayback(world, flags, player);
  } finally {
    await speaker.free();
  }
}

/** The speech as one chunk, which only its end tells the loudness of. */
async function* levelled(chunks: AsyncIterable<Float32Array>, sampleRate: number, target: number, { stderr }: World) {
  const collected: Float32Array[] = [];
  for await (const chunk of chunks) collected.push(chunk);
  const { samples, loudness } = setLoudness(joinSamples(collected), sampleRate, target);
  const missing = describeMissing(loudness, target);
  if (missing !== undefined) stderr.write(`sled-tts: ${missing}\n`);
  yield samples;
}

/** On a terminal unless told otherwise: a script that collects files wants no noise. */
function wantsPlayback({ stdout }: World, { play, out }: SayFlags): boolean {
  return play ?? (stdout.isTTY === true && out !== '-');
}

async function finishPlayback(world: World, flags: SayFlags, player: ReturnType<typeof playbackOutput>): Promise<void> {
  if (!player) return;
  const stop = () => void player.abort();
  world.signal.addEventListener('abort', stop, { once: true });
  if (world.signal.aborted) stop();
  try {
    await player.close();
  } catch (error) {
    if (flags.play) throw error; // unasked, a machine without a sound card is nothing to report
  }
}
