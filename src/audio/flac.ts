import { createHash } from 'node:crypto';
import type { CodecFrame, FLACHeader } from 'codec-parser';
import type { FLACDecoder } from '@wasm-audio-decoders/flac';
import { AudioError, checkSampleCount, checkSampleRate, type Audio } from './audio.js';

/** What STREAMINFO, the first block of every FLAC file, says. */
export interface StreamInfo {
  sampleRate: number;
  channels: number;
  bits: number;
  /** Samples a channel; 0 where the writer did not know. */
  total: number;
  /** MD5 of the interleaved samples; undefined where the writer left it out. */
  md5: string | undefined;
}

/** Bytes of a FLAC file up to the end of STREAMINFO. */
export const STREAM_INFO_END = 42;
const NO_MD5 = '0'.repeat(32);

/** Samples a channel that are decoded at once, so that memory stays small beside the result. */
const BATCH_SAMPLES = 2 ** 20;

/** Float32 holds integers of up to 24 bits exactly; beyond, the checksum cannot be taken from floats. */
export const EXACT_BITS = 24;

/**
 * Decodes a FLAC file and averages its channels; the decoder (libFLAC as WebAssembly) is loaded on first use.
 * @param bytes The whole file.
 * @param where The file's name, for errors.
 * @throws {AudioError} On a truncated or damaged file: sample count and MD5 must be what the header says.
 */
export async function decodeFlac(bytes: Uint8Array, where = 'FLAC'): Promise<Audio> {
  const info = parseStreamInfo(bytes, where);
  checkSampleCount(where, info.total);
  const { FLACDecoder } = await import('@wasm-audio-decoders/flac');
  const decoder = new FLACDecoder();
  await decoder.ready;
  try {
    const samples = await decodeFrames(decoder, await parseFrames(bytes, info, where), info, where);
    return { samples, sampleRate: info.sampleRate };
  } finally {
    decoder.free();
  }
}

/** Reads the header. @throws {AudioError} */
export function parseStreamInfo(bytes: Uint8Array, where: string): StreamInfo {
  if (Buffer.from(bytes.subarray(0, 4)).toString('latin1') !== 'fLaC')
    throw new AudioError(`${where}: not a FLAC file, it does not begin with fLaC`);
  if (bytes.length < STREAM_INFO_END || (bytes[4] & 0x7f) !== 0)
    throw new AudioError(`${where}: the header is cut short; the file is truncated`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packed = view.getBigUint64(18); // 20 bits rate, 3 channels - 1, 5 bits - 1, 36 samples
  const md5 = Buffer.from(bytes.subarray(26, STREAM_INFO_END)).toString('hex');
  const info = {
    sampleRate: Number(packed >> 44n),
    channels: Number((packed >> 41n) & 7n) + 1,
    bits: Number((packed >> 36n) & 31n) + 1,
    total: Number(packed & 0xfffffffffn),
    md5: md5 === NO_MD5 ? undefined : md5,
  };
  checkSampleRate(where, info.sampleRate);
  return info;
}

/** Finds the frames and bounds what they would unpack to before any is decoded. */
async function parseFrames(bytes: Uint8Array, info: StreamInfo, where: string): Promise<CodecFrame[]> {
  const { default: CodecParser } = await import('codec-parser');
  const frames = new CodecParser<CodecFrame>('audio/flac', { enableFrameCRC32: false }).parseAll(bytes);
  let total = 0;
  for (const { header, samples } of frames) {
    const { channels, sampleRate } = header as FLACHeader;
    if (channels !== info.channels || sampleRate !== info.sampleRate)
      throw new AudioError(`${where}: channels or sample rate change inside the file; convert it first`);
    total += samples;
  }
  checkSampleCount(where, total);
  if (total === 0 || (info.total > 0 && total !== info.total))
    throw new AudioError(
      `${where}: expected ${info.total || 'some'} samples, got ${total}; the file is truncated or damaged`,
    );
  return frames;
}

async function decodeFrames(decoder: FLACDecoder, frames: CodecFrame[], info: StreamInfo, where: string) {
  const samples = new Float32Array(frames.reduce((sum, frame) => sum + frame.samples, 0));
  const hash = info.md5 && info.bits <= EXACT_BITS ? createHash('md5') : undefined;
  let written = 0;
  for (const batch of batches(frames)) {
    const { channelData, errors, samplesDecoded } = await decoder.decodeFrames(batch.map((frame) => frame.data));
    if (errors.length > 0 || channelData.length !== info.channels || written + samplesDecoded > samples.length)
      throw new AudioError(`${where}: a frame cannot be decoded; the file is damaged`);
    mixDown(channelData, info.bits, samples.subarray(written, written + samplesDecoded));
    hash?.update(interleave(channelData, info.bits));
    written += samplesDecoded;
  }
  if (written !== samples.length || (hash && hash.digest('hex') !== info.md5))
    throw new AudioError(`${where}: the sound does not match its checksum; the file is damaged`);
  return samples;
}

function* batches(frames: CodecFrame[]): Generator<CodecFrame[]> {
  let batch: CodecFrame[] = [];
  let count = 0;
  for (const frame of frames) {
    batch.push(frame);
    count += frame.samples;
    if (count < BATCH_SAMPLES) continue;
    yield batch;
    batch = [];
    count = 0;
  }
  if (batch.length > 0) yield batch;
}

/** Channels [channels][N] -> their mean, into `into` [N], with full scale at 2^(bits - 1) as in WAV. */
export function mixDown(channels: Float32Array[], bits: number, into: Float32Array): void {
  const scale = decoderScale(bits) / 2 ** (bits - 1) / channels.length;
  for (let i = 0; i < into.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    into[i] = sum * scale;
  }
}

/** The decoder divides the file's integers by their largest value, not by the power of two above it. */
const decoderScale = (bits: number) => 2 ** (bits - 1) - 1;

/** Back to the integers that the MD5 was taken of: interleaved, little-endian, whole bytes. */
export function interleave(channels: Float32Array[], bits: number): Uint8Array {
  const width = Math.ceil(bits / 8);
  const scale = decoderScale(bits);
  if (width === 2) return interleave16(channels, scale);
  const bytes = Buffer.alloc(channels[0].length * channels.length * width);
  let offset = 0;
  for (let i = 0; i < channels[0].length; i++)
    for (const channel of channels) offset = bytes.writeIntLE(Math.round(channel[i] * scale), offset, width);
  return bytes;
}

/** The usual width, ten times as fast; Node's platforms are little-endian. */
function interleave16(channels: Float32Array[], scale: number): Uint8Array {
  const values = new Int16Array(channels[0].length * channels.length);
  channels.forEach((channel, c) => {
    for (let i = 0; i < channel.length; i++) values[i * channels.length + c] = Math.round(channel[i] * scale);
  });
  return new Uint8Array(values.buffer);
}
