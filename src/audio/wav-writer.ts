import { checkSampleRate } from './audio.js';

/** Bytes before the first sample. */
export const WAV_HEADER_BYTES = 44;

/** What a stream of unknown length writes in place of its length; readers then read to the end. */
const UNKNOWN_LENGTH = 0xffffffff;
const MAX_DATA_BYTES = 0xffffffff - WAV_HEADER_BYTES;
const BYTES_PER_SAMPLE = 2;

/**
 * The 44 bytes before 16-bit mono sound.
 * @param sampleCount Samples that follow; leave it out where that is not known yet, as in a pipe.
 * @throws {RangeError} Beyond the 4 GiB that a WAV file can hold.
 */
export function wavHeader(sampleRate: number, sampleCount?: number): Uint8Array {
  checkSampleRate('WAV', sampleRate);
  const dataBytes = sampleCount === undefined ? UNKNOWN_LENGTH : sampleCount * BYTES_PER_SAMPLE;
  if (sampleCount !== undefined && dataBytes > MAX_DATA_BYTES)
    throw new RangeError(`WAV: expected at most ${MAX_DATA_BYTES} bytes of sound, got ${dataBytes}`);
  const header = new Uint8Array(WAV_HEADER_BYTES);
  const view = new DataView(header.buffer);
  const text = (offset: number, value: string) => header.set(Buffer.from(value, 'latin1'), offset);
  text(0, 'RIFF');
  view.setUint32(4, Math.min(UNKNOWN_LENGTH, dataBytes + WAV_HEADER_BYTES - 8), true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * BYTES_PER_SAMPLE, true);
  view.setUint16(32, BYTES_PER_SAMPLE, true);
  view.setUint16(34, BYTES_PER_SAMPLE * 8, true);
  text(36, 'data');
  view.setUint32(40, dataBytes, true);
  return header;
}

/** Samples [N] in [-1, 1] -> 16-bit little-endian PCM; what lies outside is clipped. */
export function encodePcm16(samples: Float32Array): Uint8Array {
  const bytes = new Uint8Array(samples.length * BYTES_PER_SAMPLE);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < samples.length; i++) {
    const clipped = Math.max(-1, Math.min(1, samples[i]));
    view.setInt16(i * BYTES_PER_SAMPLE, Math.min(0x7fff, Math.round(clipped * 0x8000)), true);
  }
  return bytes;
}

/** Samples [N] in [-1, 1] -> a whole 16-bit mono WAV file. */
export function encodeWav(samples: Float32Array, sampleRate: number): Uint8Array {
  return Buffer.concat([wavHeader(sampleRate, samples.length), encodePcm16(samples)]);
}
