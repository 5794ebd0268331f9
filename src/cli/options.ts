import { InvalidArgumentError, Option } from 'commander';
import { OUTPUT_FORMATS } from '../audio/formats.js';
import { MAX_RATE, MIN_RATE } from '../audio/time-stretch.js';
import { DownloadBar } from './progress-bar.js';
import type { Voice } from '../generate/voice.js';
import type { LoadOptions, Speaker, World } from './world.js';

/** PyTorch's generators, whose samples a seed stands for, take 32 bits. */
const MAX_SEED = 2 ** 32 - 1;
const MAX_THREADS = 512;
const MAX_GUIDANCE = 100;
const MAX_TEMPERATURE = 10;

/** A parser for whole numbers in [min, max]. */
export const integer = (min: number, max: number) => (text: string) => numberIn(text, min, max, 'a whole number');

/** A parser for numbers in [min, max]. */
export const number = (min: number, max: number) => (text: string) => numberIn(text, min, max, 'a number');

function numberIn(text: string, min: number, max: number, kind: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const right = kind === 'a number' ? Number.isFinite(value) : Number.isInteger(value);
  if (!right || value < min || value > max)
    throw new InvalidArgumentError(`expected ${kind} from ${min} to ${max}, got '${text}'`);
  return value;
}

/** Flags that several verbs share: one description each. */
export const seedOption = () =>
  new Option('--seed <number>', 'another seed gives another reading').argParser(integer(0, MAX_SEED)).default(0);
export const guidanceOption = () =>
  new Option(
    '--guidance <number>',
    "how strictly the speech follows the text; the model's own where left out",
  ).argParser(number(0, MAX_GUIDANCE));
export const temperatureOption = () =>
  new Option(
    '--temperature <number>',
    "how freely the voice varies, 1 as it was trained; the model's own where left out",
  ).argParser(number(0, MAX_TEMPERATURE));
export const modelOption = () =>
  new Option(
    '--model <model>',
    'a folder, a name that `voices` lists, or a hub id such as ORG/NAME; the voice of this package where left out',
  );
export const codecOption = () => new Option('--codec <codec>', "a folder or a hub id; the model's own where left out");
export const voiceOption = () => new Option('--voice <file>', 'a voice to speak with, from `voice make`');
export const latentsOption = () =>
  new Option('--latents <file>', 'also write what the network drew, frames by channels, as a NumPy array (.npy)');
export const threadsOption = () =>
  new Option('--threads <number>', 'CPU threads; the fastest number where left out').argParser(integer(1, MAX_THREADS));
export const deviceOption = () =>
  new Option('--device <name>', "cpu, gpu, or the name of one of ggml's devices").default('cpu');
export const weightsOption = () =>
  new Option(
    '--weights <type>',
    'type of the weights in memory, such as f32 or q8_0; the fastest good one where left out',
  );
export const maxFramesOption = () =>
  new Option('--max-frames <number>', 'stop after this many frames').argParser(integer(1, 1_000_000));
export const rateOption = () =>
  new Option(
    '--rate <number>',
    'how fast, at the same pitch: 1.2 is a fifth faster; pauses keep their length',
  ).argParser(number(MIN_RATE, MAX_RATE));
export const formatOption = () =>
  new Option('--format <name>', "in place of what the file name ends with; 'wav' for standard output").choices(
    OUTPUT_FORMATS,
  );
export const quietOption = () => new Option('--quiet', 'say nothing but errors');
export const debugOption = () => new Option('--debug', 'show where an error comes from');

/** Loads what a verb speaks with; warnings and the bar of a download go to standard error. */
export async function loadSpeaker(
  world: World,
  { model, codec, threads, device, weights, quiet }: LoadFlags,
): Promise<Speaker> {
  const { stderr, signal } = world;
  const onWarning = (message: string) => void stderr.write(`sled-tts: ${message}\n`);
  const bar = new DownloadBar(stderr, !quiet);
  const options: LoadOptions = {
    model,
    codec,
    threads,
    device,
    weights,
    signal,
    onDownload: (progress) => bar.update(progress),
  };
  return world.loadSpeaker({ ...options, ...(quiet ? {} : { onWarning }) }).finally(() => bar.stop());
}

/** A prompt from a voice file, where one is named. */
export async function voicePrompt(path: string | undefined): Promise<Voice | undefined> {
  if (path === undefined) return undefined;
  const { Voice } = await import('../generate/voice.js');
  return Voice.load(path);
}

/** The flags of what loads a model. */
export interface LoadFlags {
  model?: string;
  codec?: string;
  threads?: number;
  device?: string;
  weights?: string;
  quiet?: boolean;
  debug?: boolean;
}

/** The flags of `say` and `stream` alike, as commander hands them over. */
export interface VoiceFlags extends LoadFlags {
  seed: number;
  guidance?: number;
  temperature?: number;
  rate?: number;
  maxFrames?: number;
  format?: string;
  voice?: string;
  play?: boolean;
}
