import { Command } from 'commander';
import { readAudio } from '../audio/read-audio.js';
import {
  codecOption,
  debugOption,
  formatOption,
  guidanceOption,
  latentsOption,
  maxFramesOption,
  modelOption,
  quietOption,
  seedOption,
  temperatureOption,
  threadsOption,
  weightsOption,
} from './options.js';
import { speakToFile, type SayFlags } from './say.js';
import { readText } from './text-input.js';
import { timingsOption } from './timings.js';
import type { World } from './world.js';

interface CloneFlags extends SayFlags {
  audio: string;
  text: string;
  continue?: boolean;
}

/** How much of a recording its continuation starts from. */
const CONTINUED_SECONDS = 3;

/** `clone`: a text in the voice of a recording, or a recording continued. */
export function cloneCommand(world: World): Command {
  return new Command('clone')
    .description('speak a text in the voice of a recording, with a model that was trained on many voices')
    .argument('[text...]', "what to say; '-' or nothing reads standard input")
    .requiredOption('--audio <file>', 'the recording: a few seconds of clear speech')
    .requiredOption('--text <text>', 'what is said in the recording, to the letter')
    .option('--continue', `speak on from the recording's first ${CONTINUED_SECONDS} seconds what is left of --text`)
    .option('--out <file>', "the sound file, .wav, .flac, .mp3, .opus or .pcm; '-' is standard output", 'speech.wav')
    .addOption(formatOption())
    .addOption(seedOption())
    .addOption(guidanceOption())
    .addOption(temperatureOption())
    .addOption(modelOption())
    .addOption(codecOption())
    .addOption(threadsOption())
    .addOption(weightsOption())
    .addOption(maxFramesOption())
    .addOption(timingsOption())
    .addOption(latentsOption())
    .option('--play', 'play the sound, or say why not')
    .option('--no-play', 'do not play the sound; it is played on a terminal where the machine can')
    .addOption(quietOption())
    .addOption(debugOption())
    .action((words: string[], flags: CloneFlags) => clone(world, words, flags));
}

async function clone(world: World, words: string[], flags: CloneFlags): Promise<void> {
  const { stdin, stdout, signal } = world;
  if (flags.out === '-' && stdout.isTTY) throw new Error("clone: '--out -' writes sound; pipe it or give a file name");
  if (flags.text.trim() === '') throw new Error("clone: expected what the recording says after '--text', got nothing");
  if (flags.continue && words.length > 0)
    throw new Error("clone: '--continue' speaks what is left of --text; leave the other text out");
  const audio = await readAudio(flags.audio);
  if (flags.continue)
    return speakToFile(world, flags.text, flags, async (speaker) => ({
      prompt: await speaker.createVoice({ ...audio, text: '', seconds: CONTINUED_SECONDS }),
      includePrompt: true,
    }));
  const text = await readText(words, stdin, signal);
  if (text.trim() === '') throw new Error('clone: expected some text, got none');
  await speakToFile(world, text, flags, async (speaker) => ({
    prompt: await speaker.createVoice({ ...audio, text: flags.text }),
  }));
}
