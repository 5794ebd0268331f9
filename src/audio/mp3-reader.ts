import type { CodecFrame, MPEGHeader } from 'codec-parser';
import { AudioError, checkSampleCount, checkSampleRate, type Audio } from './audio.js';
import { joinSamples, meanOf } from './mix-down.js';
import { DECODER_DELAY, readMp3Length } from './mp3-tag.js';

/** Frames that are decoded at once, so that memory stays small beside the result. */
const BATCH_FRAMES = 512;

/**
 * Decodes an MP3 file and averages its channels; the decoder (mpg123 as WebAssembly) is loaded on first use. Where the
 * encoder said how much it added before and after the recording, that is cut off: the length is the recording's.
 * @throws {AudioError} On a file without MP3 frames, or with fewer than its first one promises.
 */
export async function decodeMp3(bytes: Uint8Array, where = 'MP3'): Promise<Audio> {
  const { default: CodecParser } = await import('codec-parser');
  const parser = new CodecParser<CodecFrame>('audio/mpeg', { enableFrameCRC32: false });
  const frames = parser.parseAll(bytes);
  if (frames.length === 0) throw new AudioError(`${where}: no MP3 frame in the file; it is truncated or damaged`);
  const { sampleRate } = frames[0].header as MPEGHeader;
  checkSampleRate(where, sampleRate);
  if (frames.some(({ header }) => (header as MPEGHeader).sampleRate !== sampleRate))
    throw new AudioError(`${where}: the sample rate changes inside the file; convert it first`);
  const tag = readMp3Length(frames[0].data);
  const sound = tag ? frames.slice(1) : frames;
  if (sound.length === 0 || sound.length < (tag?.frames ?? 0) || !isWhole(frames[frames.length - 1]))
    throw new AudioError(
      `${where}: expected ${tag?.frames || 'whole'} frames, got ${sound.length}, or a part of one; the file is truncated or damaged`,
    );
  checkSampleCount(where, sound.length * sound[0].samples);
  const samples = await decodeFrames(sound, where);
  if (tag?.delay === undefined || tag.padding === undefined) return { samples, sampleRate };
  const start = tag.delay + DECODER_DELAY;
  // Where the end is not known, as in what was piped, nothing is cut from it.
  const end = tag.frames > 0 ? start + samples.length - tag.delay - tag.padding : samples.length;
  return { samples: samples.slice(start, end), sampleRate };
}

/** kbit/s of layer III by the index in a frame's header: MPEG 1, and MPEG 2 and 2.5. */
const BITRATES = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/** A file that is cut short ends inside a frame; what the parser says of that one is made to fit. */
function isWhole({ header, samples, data }: CodecFrame): boolean {
  const isMpeg1 = (data[1] >> 3) % 4 === 3;
  const bitrate = BITRATES[isMpeg1 ? 0 : 1][data[2] >> 4] ?? 0;
  return data.length >= Math.floor(((samples / 8) * bitrate * 1000) / (header as MPEGHeader).sampleRate);
}

async function decodeFrames(frames: readonly CodecFrame[], where: string): Promise<Float32Array> {
  const { MPEGDecoder } = await import('mpg123-decoder');
  const decoder = new MPEGDecoder({ enableGapless: false });
  await decoder.ready;
  try {
    const pieces: Float32Array[] = [];
    for (let i = 0; i < frames.length; i += BATCH_FRAMES) {
      const { channelData, errors } = decoder.decodeFrames(frames.slice(i, i + BATCH_FRAMES).map(({ data }) => data));
      if (errors.length > 0) throw new AudioError(`${where}: a frame cannot be decoded; the file is damaged`);
      pieces.push(meanOf(channelData));
    }
    return joinSamples(pieces);
  } finally {
    decoder.free();
  }
}
