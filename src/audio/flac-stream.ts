import { createHash, type Hash } from 'node:crypto';
import type { CodecFrame, FLACHeader } from 'codec-parser';
import type { FLACDecoder } from '@wasm-audio-decoders/flac';
import { AudioError } from './audio.js';
import { EXACT_BITS, interleave, mixDown, type StreamInfo } from './flac.js';

/**
 * Decodes a FLAC file piece by piece; memory does not grow with its length.
 * @param bytes The file from its beginning, in pieces of any size.
 * @yields samples [N], the channels' mean; count and checksum are known only after the last.
 * @throws {AudioError} On a truncated or damaged file.
 */
export async function* decodeFlacStream(
  bytes: AsyncIterable<Uint8Array>,
  info: StreamInfo,
  where: string,
): AsyncGenerator<Float32Array> {
  const { default: CodecParser } = await import('codec-parser');
  const { FLACDecoder } = await import('@wasm-audio-decoders/flac');
  const parser = new CodecParser<CodecFrame>('audio/flac', { enableFrameCRC32: false });
  const decoder = new FLACDecoder();
  await decoder.ready;
  const hash = info.md5 && info.bits <= EXACT_BITS ? createHash('md5') : undefined;
  let total = 0;
  try {
    const decode = async (frames: CodecFrame[]) => {
      const samples = await decodeFrames(decoder, frames, { info, where, hash });
      total += samples.length;
      return samples;
    };
    for await (const piece of bytes) {
      const frames = drain(parser.parseChunk(piece));
      if (frames.length > 0) yield await decode(frames);
    }
    const last = drain(parser.flush());
    if (last.length > 0) yield await decode(last);
    if (total === 0 || (info.total > 0 && total !== info.total))
      throw new AudioError(
        `${where}: expected ${info.total || 'some'} samples, got ${total}; the file is truncated or damaged`,
      );
    if (hash && hash.digest('hex') !== info.md5)
      throw new AudioError(`${where}: the sound does not match its checksum; the file is damaged`);
  } finally {
    decoder.free();
  }
}

async function decodeFrames(
  decoder: FLACDecoder,
  frames: CodecFrame[],
  { info, where, hash }: { info: StreamInfo; where: string; hash: Hash | undefined },
): Promise<Float32Array> {
  const changed = frames.some(({ header }) => {
    const { channels, sampleRate } = header as FLACHeader;
    return channels !== info.channels || sampleRate !== info.sampleRate;
  });
  if (changed) throw new AudioError(`${where}: channels or sample rate change inside the file; convert it first`);
  const { channelData, errors, samplesDecoded } = await decoder.decodeFrames(frames.map((frame) => frame.data));
  if (errors.length > 0 || channelData.length !== info.channels)
    throw new AudioError(`${where}: a frame cannot be decoded; the file is damaged`);
  const samples = new Float32Array(samplesDecoded);
  mixDown(channelData, info.bits, samples);
  hash?.update(interleave(channelData, info.bits));
  return samples;
}

function drain<T>(iterator: Iterator<T>): T[] {
  const items: T[] = [];
  for (let next = iterator.next(); !next.done; next = iterator.next()) items.push(next.value);
  return items;
}
