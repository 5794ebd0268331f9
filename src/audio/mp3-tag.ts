/** Samples that every MP3 decoder is late by, beside the encoder's own delay. */
export const DECODER_DELAY = 529;

/** What the "Info" frame, the first of a file, says: how much of the sound is the encoder's and not the recording's. */
export interface Mp3Length {
  /** Frames that follow. */
  frames: number;
  /** Samples before the recording. */
  delay: number;
  /** Samples after it. */
  padding: number;
}

/** Side information of a mono frame: MPEG 1, and MPEG 2 and 2.5 with half the sample rate. */
const sideInfoBytes = (frame: Uint8Array) => {
  const [isMpeg1, isMono] = [(frame[1] >> 3) % 4 === 3, frame[3] >> 6 === 3];
  if (isMpeg1) return isMono ? 17 : 32;
  return isMono ? 9 : 17;
};

/** Offsets from the tag's name: flags and frames, and the three bytes of LAME's delay and padding. */
const [FLAGS, FRAMES, LAME, DELAYS] = [4, 8, 120, 141];
const HAS_FRAMES = 1;
const TAG_BYTES = 156;
const tagStart = (frame: Uint8Array) => 4 + sideInfoBytes(frame);

/**
 * The Info (or Xing) tag of a file's first frame.
 * @returns Undefined for a frame of sound. `delay` and `padding` are undefined where the encoder did not say.
 */
export function readMp3Length(frame: Uint8Array): (Partial<Mp3Length> & { frames: number }) | undefined {
  const start = tagStart(frame);
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  const name = bytes.toString('latin1', start, start + 4);
  if ((name !== 'Info' && name !== 'Xing') || bytes.length < start + FRAMES + 4) return undefined;
  const flags = bytes.readUInt32BE(start + FLAGS);
  const frames = flags & HAS_FRAMES ? bytes.readUInt32BE(start + FRAMES) : 0;
  if (flags !== 0xf && flags !== HAS_FRAMES) return { frames };
  const lame = start + (flags === 0xf ? LAME : FRAMES + 4);
  if (bytes.length < lame + 24 || !/^(LAME|Lavc|Lavf)/.test(bytes.toString('latin1', lame, lame + 4)))
    return { frames };
  const delays = bytes.readUIntBE(lame + DELAYS - LAME, 3); // 12 bits each
  return { frames, delay: delays >> 12, padding: delays & 0xfff };
}

/**
 * A first frame that holds the tag and no sound, in the format of the frames that follow.
 * @param header The four header bytes of a frame of the same stream; its bit rate is raised so that the tag fits.
 */
export function writeMp3Length(
  header: Uint8Array,
  frameBytes: number,
  { frames, delay, padding }: Mp3Length,
): Uint8Array {
  const frame = Buffer.alloc(frameBytes);
  frame.set(header);
  const start = tagStart(frame);
  if (start + TAG_BYTES > frameBytes)
    throw new RangeError(`MP3: a tag of ${TAG_BYTES} bytes does not fit ${frameBytes}`);
  frame.write('Info', start, 'latin1');
  frame.writeUInt32BE(0xf, start + FLAGS); // frames, bytes, contents, quality: the layout that every reader knows
  frame.writeUInt32BE(frames, start + FRAMES);
  frame.write('LAME3.100', start + LAME, 'latin1');
  frame.writeUIntBE((delay << 12) | padding, start + DELAYS, 3);
  return frame;
}
