import type { CodecFrame, OggPage as ParsedPage, OpusHeader } from 'codec-parser';
import { AudioError, checkSampleCount, checkSampleRate, type Audio } from './audio.js';
import { joinSamples, meanOf } from './mix-down.js';
import { readOggPages, type OggPage } from './ogg.js';

/** Opus counts and decodes at this rate whatever went in. */
const OPUS_RATE = 48_000;

/** Packets that are decoded at once, so that memory stays small beside the result. */
const BATCH_PACKETS = 512;

/**
 * Decodes an Ogg file with Opus or Vorbis in it and averages its channels; the decoders (libopus, libvorbis as WebAssembly)
 * are loaded on first use. Its length is what its last page says.
 * @throws {AudioError} On a truncated or damaged file, or another codec.
 */
export async function decodeOgg(bytes: Uint8Array, where = 'Ogg'): Promise<Audio> {
  const pages = readOggPages(bytes, where);
  const head = Buffer.from(pages[0].body.subarray(0, 16)).toString('latin1');
  const count = pages.reduce((most, { granule }) => Math.max(most, granule), 0);
  checkSampleCount(where, count);
  const used = bytes.subarray(0, bytesOf(pages)); // what follows the end of the stream is no sound
  if (head.startsWith('OpusHead')) return decodeOpus(used, count, where);
  if (head.startsWith('\x01vorbis')) return decodeVorbis(used, count, where);
  throw new AudioError(`${where}: expected Opus or Vorbis in the Ogg file, got something else`);
}

const bytesOf = (pages: readonly OggPage[]) => {
  const { body } = pages[pages.length - 1];
  return body.byteOffset + body.byteLength - (pages[0].body.byteOffset - FIRST_BODY);
};
/** The first page holds one packet of less than 255 bytes: a header of 27 bytes and one segment size. */
const FIRST_BODY = 28;

async function decodeOpus(bytes: Uint8Array, count: number, where: string): Promise<Audio> {
  const { default: CodecParser } = await import('codec-parser');
  const { OpusDecoder } = await import('opus-decoder');
  const frames = new CodecParser<ParsedPage>('application/ogg', {}).parseAll(bytes).flatMap(framesOf);
  if (frames.length === 0) throw new AudioError(`${where}: the Ogg file has no sound in it`);
  const header = frames[0].header as OpusHeader;
  const { channels, preSkip, streamCount, coupledStreamCount, channelMappingTable } = header;
  const decoder = new OpusDecoder({
    channels,
    preSkip,
    streamCount,
    coupledStreamCount,
    channelMappingTable,
    forceStereo: channels > 2,
  });
  await decoder.ready;
  try {
    const pieces: Float32Array[] = [];
    for (let i = 0; i < frames.length; i += BATCH_PACKETS) {
      const batch = frames.slice(i, i + BATCH_PACKETS).map(({ data }) => data);
      const { channelData, errors } = decoder.decodeFrames(batch);
      if (errors.length > 0) throw new AudioError(`${where}: a packet cannot be decoded; the file is damaged`);
      pieces.push(meanOf(channelData));
    }
    return { samples: exactly(joinSamples(pieces), count - preSkip, where), sampleRate: OPUS_RATE };
  } finally {
    decoder.free();
  }
}

const framesOf = (page: ParsedPage): CodecFrame[] => page.codecFrames ?? [];

async function decodeVorbis(bytes: Uint8Array, count: number, where: string): Promise<Audio> {
  const { OggVorbisDecoder } = await import('@wasm-audio-decoders/ogg-vorbis');
  const decoder = new OggVorbisDecoder();
  await decoder.ready;
  try {
    const { channelData, sampleRate, errors } = await decoder.decodeFile(bytes);
    if (errors.length > 0) throw new AudioError(`${where}: a packet cannot be decoded; the file is damaged`);
    checkSampleRate(where, sampleRate);
    return { samples: exactly(meanOf(channelData), count, where), sampleRate };
  } finally {
    decoder.free();
  }
}

/** The stream's own end: what its last page says, in samples. */
function exactly(samples: Float32Array, count: number, where: string): Float32Array {
  if (count <= 0 || samples.length < count)
    throw new AudioError(
      `${where}: expected ${count} samples, got ${samples.length}; the file is truncated or damaged`,
    );
  return samples.subarray(0, count);
}
