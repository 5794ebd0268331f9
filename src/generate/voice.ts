import { statSync } from 'node:fs';
import type { Codec } from '../codec/codec.js';
import { CheckpointError } from '../model/errors.js';
import { fromFloat32, readSafetensors, toFloat32, writeSafetensors } from '../model/safetensors.js';
import type { Prompt } from './prompt.js';

/** The codec that a voice was made with. Letters: T frames, D latent channels. */
export interface VoiceCodec {
  sampleRate: number;
  hopLength: number;
  latentDim: number;
  /** [D]: tells codecs of one shape apart, see Codec. */
  channelScale: Float32Array;
}

const FORMAT = 'sled-voice-1';
/** Two minutes of the largest codec that is in use take 5 MB. */
const MAX_FILE_BYTES = 32 << 20;
const MAX_SECONDS = 120;
const MAX_TEXT_CHARACTERS = 10_000;
/** Latents are of size 1 to 10; what is far beyond would fill every layer with infinities. */
const MAX_LATENT = 10_000;
/** Packed weights move a codec's scales by a thousandth, another training by more than this. */
const SCALE_TOLERANCE = 0.02;

/**
 * A stored prompt: speech as latents, and its text. It is computed once by each loaded model that speaks with it. Files are
 * safetensors: tensors `latents` [T, D] and `channel_scale` [D], the rest as metadata; a file from a stranger cannot do more
 * than sound wrong.
 */
export class Voice implements Prompt {
  readonly text: string;
  readonly latents: Float32Array;
  readonly codec: VoiceCodec;

  /** @throws {RangeError} for latents that are no [T, D] with T > 0 or are not finite, and for a text that is too long. */
  constructor({ text, latents }: Prompt, { sampleRate, hopLength, latentDim, channelScale }: VoiceCodec) {
    checkPrompt({ text, latents }, latentDim);
    this.text = text;
    this.latents = latents.slice();
    this.codec = { sampleRate, hopLength, latentDim, channelScale };
    if (this.seconds > MAX_SECONDS)
      throw new RangeError(`voice: expected at most ${MAX_SECONDS} s of speech, got ${this.seconds.toFixed(1)}`);
  }

  /** T */
  get frames(): number {
    return this.latents.length / this.codec.latentDim;
  }

  get seconds(): number {
    return (this.frames * this.codec.hopLength) / this.codec.sampleRate;
  }

  /** Writes a voice file; it is whole or not there at all. */
  save(path: string): void {
    const { sampleRate, hopLength, latentDim, channelScale } = this.codec;
    const tensors = new Map([
      ['latents', fromFloat32(this.latents, [this.frames, latentDim])],
      ['channel_scale', fromFloat32(channelScale, [latentDim])],
    ]);
    const metadata = { format: FORMAT, text: this.text, sampleRate: `${sampleRate}`, hopLength: `${hopLength}` };
    writeSafetensors(path, tensors, metadata);
  }

  /** @throws {CheckpointError} for a file that is no voice, is damaged, or is larger than any voice. */
  static load(path: string): Voice {
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw new CheckpointError(`${path}: no such file; 'sled-tts voice make' makes one`);
    if (size > MAX_FILE_BYTES)
      throw new CheckpointError(`${path}: ${size} bytes; a voice file has at most ${MAX_FILE_BYTES}`);
    const { tensors, metadata } = readSafetensors(path);
    if (metadata.format !== FORMAT)
      throw new CheckpointError(`${path}: expected a voice file (${FORMAT}), got ${describe(metadata.format)}`);
    const names = [...tensors.keys()].sort().join();
    const [latents, scale] = [tensors.get('latents'), tensors.get('channel_scale')];
    if (names !== 'channel_scale,latents' || !latents || !scale)
      throw new CheckpointError(`${path}: expected the tensors channel_scale and latents, got ${describe(names)}`);
    const [, latentDim] = latents.shape;
    if (latents.shape.length !== 2 || scale.shape.join() !== `${latentDim}` || latents.dtype !== 'F32' || scale.dtype !== 'F32') // prettier-ignore
      throw new CheckpointError(`${path}: expected latents [T, D] and channel_scale [D] of F32, got [${latents.shape}] ${latents.dtype} and [${scale.shape}] ${scale.dtype}`); // prettier-ignore
    const number = (name: string) => wholeNumber(metadata[name], `${path}: ${name}`);
    const codec = {
      sampleRate: number('sampleRate'),
      hopLength: number('hopLength'),
      latentDim,
      channelScale: toFloat32(scale),
    };
    try {
      return new Voice({ text: metadata.text, latents: toFloat32(latents) }, codec);
    } catch (error) {
      throw new CheckpointError(`${path}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** @throws {RangeError} when new speech cannot go on from this. */
export function checkPrompt({ text, latents }: Prompt, latentDim: number): void {
  if (typeof text !== 'string' || text.length > MAX_TEXT_CHARACTERS)
    throw new RangeError(`prompt: expected a text of at most ${MAX_TEXT_CHARACTERS} characters, got ${describe(text)}`);
  if (!(latents instanceof Float32Array) || latents.length === 0 || latents.length % latentDim !== 0)
    throw new RangeError(
      `prompt: expected latents [T, ${latentDim}] of at least one frame, got ${latents?.length} values`,
    );
  const wrong = latents.findIndex((x) => !(Math.abs(x) <= MAX_LATENT));
  if (wrong >= 0) throw new RangeError(`prompt: latent ${wrong} is ${latents[wrong]}; expected a finite number`);
}

/** @throws {RangeError} when a voice's latents are another codec's. */
export function checkCodec({ codec: theirs }: Voice, ours: Codec): void {
  const shape = ({ sampleRate, hopLength, latentDim }: VoiceCodec) =>
    `${latentDim} channels, ${hopLength} samples a frame at ${sampleRate} Hz`;
  if (shape(theirs) !== shape(ours))
    throw new RangeError(`voice: made for a codec of ${shape(theirs)}; this model's has ${shape(ours)}`);
  const far = theirs.channelScale.some((s, d) => !(Math.abs(s - ours.channelScale[d]) <= SCALE_TOLERANCE * ours.channelScale[d])); // prettier-ignore
  if (far) throw new RangeError("voice: made for another codec than this model's; make it again from its recording");
}

function wholeNumber(value: unknown, where: string): number {
  const number = typeof value === 'string' ? Number(value) : NaN;
  if (!Number.isInteger(number) || number < 1 || number > 2 ** 24)
    throw new CheckpointError(`${where}: expected a positive whole number, got ${describe(value)}`);
  return number;
}

/** A value as an error names it, short and on one line. */
const describe = (value: unknown) => String(JSON.stringify(value)).slice(0, 100);
