import type { WasmMediaEncoder } from 'wasm-media-encoders';
import { AudioError } from './audio.js';
import type { StreamEncoder } from './formats.js';
import { writeMp3Length } from './mp3-tag.js';

const RATES = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/** kbit/s: more than 24 kHz speech needs. */
const BITRATE = 64;

/** What LAME puts before the recording. */
const ENCODER_DELAY = 576;

/**
 * Encodes mono speech as MP3, 64 kbit/s; LAME (WebAssembly) is loaded on first use. A file's first frame says how many
 * samples are the encoder's, so that players cut them off; in a pipe the number at the end is not known.
 * @throws {AudioError} for a sample rate that MP3 does not have.
 */
export async function createMp3Encoder(sampleRate: number): Promise<StreamEncoder> {
  if (!RATES.includes(sampleRate))
    throw new AudioError(`MP3: expected a sample rate of ${RATES.join(', ')} Hz, got ${sampleRate}; write WAV or FLAC`);
  const library = await import('wasm-media-encoders');
  const create = async () => {
    const encoder = await library.createMp3Encoder();
    encoder.configure({ sampleRate, channels: 1, bitrate: BITRATE });
    return encoder;
  };
  const header = firstHeader(await create());
  const encoder = await create();
  const isMpeg1 = (header[1] >> 3) % 4 === 3;
  const frameSamples = isMpeg1 ? 1152 : 576;
  const frameBytes = Math.floor((frameSamples / 8) * ((BITRATE * 1000) / sampleRate));
  let bytes = 0;
  const counted = (encoded: Uint8Array) => {
    bytes += encoded.length;
    return encoded.slice(); // the library writes the next ones to the same place
  };
  return {
    start: (sampleCount) => {
      const frames = sampleCount === undefined ? 0 : countFrames(bytes, sampleRate, frameSamples);
      const padding = Math.max(0, frames * frameSamples - ENCODER_DELAY - (sampleCount ?? 0));
      return writeMp3Length(header, frameBytes, { frames, delay: ENCODER_DELAY, padding });
    },
    chunk: (samples) => counted(encoder.encode([samples])),
    end: () => counted(encoder.finalize()),
  };
}

/** Frames of a constant bit rate are of one size, give or take the padding that keeps the rate. */
const countFrames = (bytes: number, sampleRate: number, frameSamples: number): number =>
  Math.round(bytes / ((frameSamples / 8) * ((BITRATE * 1000) / sampleRate)));

/** The header that all frames will have, without the padding bit. */
function firstHeader(encoder: WasmMediaEncoder<'audio/mpeg'>): Uint8Array {
  const encoded = encoder.encode([new Float32Array(1152)]).slice();
  const header = (encoded.length >= 4 ? encoded : encoder.finalize()).slice(0, 4);
  header[2] &= ~2;
  return header;
}
