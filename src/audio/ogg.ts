import { AudioError } from './audio.js';

/** One page of an Ogg stream. */
export interface OggPage {
  /** Position of its last sample, in the codec's own count; -1 where no packet ends on it. */
  granule: number;
  isFirst: boolean;
  isLast: boolean;
  serial: number;
  /** The pieces of packets on it. */
  body: Uint8Array;
}

const HEADER_BYTES = 27;
const SEGMENT_BYTES = 255;
/** Segments that a page may have, so packets of up to 20 ms fill at most this many. */
export const MAX_PAGE_SEGMENTS = 255;
const [FIRST, LAST] = [2, 4];

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let crc = i << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** Ogg's checksum: polynomial 0x04c11db7, not reflected, from 0. */
function crcOf(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = (crc << 8) ^ CRC_TABLE[((crc >>> 24) ^ byte) & 0xff];
  return crc >>> 0;
}

/** Lays packets out as the pages of one Ogg stream (RFC 3533). */
export class OggPageWriter {
  #sequence = 0;

  constructor(private readonly serial: number) {}

  /** Whole packets as one page, of at most {@link MAX_PAGE_SEGMENTS} segments. */
  page(packets: readonly Uint8Array[], granule: number, isLast = false): Uint8Array {
    const segments = packets.flatMap(segmentsOf);
    const page = Buffer.concat([Buffer.alloc(HEADER_BYTES), Uint8Array.from(segments), ...packets]);
    page.write('OggS', 'latin1');
    page[5] = (this.#sequence === 0 ? FIRST : 0) | (isLast ? LAST : 0);
    page.writeBigInt64LE(BigInt(granule), 6);
    page.writeUInt32LE(this.serial, 14);
    page.writeUInt32LE(this.#sequence++, 18);
    page[26] = segments.length;
    page.writeUInt32LE(crcOf(page), 22);
    return page;
  }
}

/** A packet is as many segments of 255 bytes as fit, and one shorter one. */
export function segmentsOf({ length }: Uint8Array): number[] {
  const whole = Math.floor(length / SEGMENT_BYTES);
  return [...Array<number>(whole).fill(SEGMENT_BYTES), length % SEGMENT_BYTES];
}

/**
 * The pages of a file with one Ogg stream.
 * @throws {AudioError} for a file that is cut short, damaged (each page has a checksum), or holds several streams.
 */
export function readOggPages(bytes: Uint8Array, where: string): OggPage[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pages: OggPage[] = [];
  for (let at = 0; at < file.length;) {
    const page = parsePage(file, at, where);
    if (page.serial !== (pages[0] ?? page).serial)
      throw new AudioError(`${where}: several streams in one Ogg file; convert it first`);
    pages.push(page);
    at += page.length;
    if (page.isLast) return pages;
  }
  throw new AudioError(`${where}: the Ogg stream has no end; the file is truncated`);
}

function parsePage(file: Buffer, at: number, where: string): OggPage & { length: number } {
  if (file.toString('latin1', at, at + 4) !== 'OggS') {
    const truncated = file.length - at < 4;
    throw new AudioError(
      `${where}: ${truncated ? 'the file is truncated' : `no Ogg page at byte ${at}; the file is damaged`}`,
    );
  }
  const start = at + HEADER_BYTES + (at + HEADER_BYTES <= file.length ? file[at + 26] : 0);
  const end = start + file.subarray(at + HEADER_BYTES, start).reduce((sum, size) => sum + size, 0);
  if (start > file.length || end > file.length)
    throw new AudioError(`${where}: the file ends inside an Ogg page; it is truncated`);
  const whole = Buffer.from(file.subarray(at, end));
  whole.writeUInt32LE(0, 22);
  if (crcOf(whole) !== file.readUInt32LE(at + 22))
    throw new AudioError(`${where}: the Ogg page at byte ${at} has a wrong checksum; the file is damaged`);
  return {
    granule: Number(file.readBigInt64LE(at + 6)),
    isFirst: (file[at + 5] & FIRST) !== 0,
    isLast: (file[at + 5] & LAST) !== 0,
    serial: file.readUInt32LE(at + 14),
    body: file.subarray(start, end),
    length: end - at,
  };
}
