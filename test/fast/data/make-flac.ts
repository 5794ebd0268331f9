import { createHash } from 'node:crypto';

const BLOCK = 4096;
const RATE_CODES: Record<number, number> = { 8000: 4, 16000: 5, 24000: 7 };

/** 16-bit mono samples as a FLAC file of verbatim (uncompressed) frames, for tests of long files. */
export function encodeFlac(pcm: Int16Array, sampleRate: number): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0, number = 0; at < pcm.length; at += BLOCK, number++)
    frames.push(frame(pcm.subarray(at, at + BLOCK), number, sampleRate));
  return Buffer.concat([header(pcm, sampleRate), ...frames]);
}

function header(pcm: Int16Array, sampleRate: number): Buffer {
  const info = Buffer.alloc(42);
  info.write('fLaC', 'latin1');
  info.writeUInt32BE(0x80000000 + 34, 4); // last metadata block, STREAMINFO, 34 bytes
  info.writeUInt16BE(BLOCK, 8);
  info.writeUInt16BE(BLOCK, 10);
  info.writeBigUInt64BE((BigInt(sampleRate) << 44n) | (15n << 36n) | BigInt(pcm.length), 18);
  const bytes = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  createHash('md5').update(bytes).digest().copy(info, 26);
  return info;
}

function frame(samples: Int16Array, number: number, sampleRate: number): Buffer {
  // sync; block size in 16 bits at the end; mono, 16 bits
  const head = [
    0xff,
    0xf8,
    0x70 | RATE_CODES[sampleRate],
    0x08,
    ...utf8(number),
    (samples.length - 1) >> 8,
    (samples.length - 1) & 0xff,
  ];
  const frame = Buffer.alloc(head.length + 2 + 2 * samples.length + 2);
  frame.set(head);
  frame[head.length] = crc(frame.subarray(0, head.length), 8, 0x07);
  frame[head.length + 1] = 0x02; // verbatim subframe
  samples.forEach((x, i) => frame.writeInt16BE(x, head.length + 2 + 2 * i));
  frame.writeUInt16BE(crc(frame.subarray(0, frame.length - 2), 16, 0x8005), frame.length - 2);
  return frame;
}

function utf8(number: number): number[] {
  return [...Buffer.from(String.fromCodePoint(number), 'utf8')];
}

function crc(bytes: Uint8Array, bits: 8 | 16, polynomial: number): number {
  const [top, mask] = [1 << (bits - 1), 2 ** bits - 1];
  let value = 0;
  for (const byte of bytes) {
    value ^= byte << (bits - 8);
    for (let i = 0; i < 8; i++) value = (value & top ? (value << 1) ^ polynomial : value << 1) & mask;
  }
  return value;
}
