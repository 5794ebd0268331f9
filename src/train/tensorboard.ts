import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { encodeWav } from '../audio/wav-writer.js';

/** How a run's events are written. */
export interface EventWriterOptions {
  /** The step a resumed run goes on from: TensorBoard then forgets what an earlier file has of it and of later ones. */
  startStep?: number;
}

/** Files opened by this process, so that two in one second have different names. */
let opened = 0;

/**
 * Writes TensorBoard event files: TFRecords of `Event` messages (tensorflow/core/util/event.proto).
 * Every writer makes a file of its own; TensorBoard joins those of one folder.
 */
export class EventWriter {
  /** The file. */
  readonly path: string;
  readonly #file: number;

  constructor(folder: string, options: EventWriterOptions = {}) {
    mkdirSync(folder, { recursive: true });
    const seconds = Math.floor(Date.now() / 1000);
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${opened++}`);
    this.#file = openSync(this.path, 'wx');
    this.#event(text(3, 'brain.Event:2'));
    if (options.startStep !== undefined) this.#event(message(7, integer(1, SESSION_START)), options.startStep);
  }

  /** One point of a curve. */
  scalar(tag: string, value: number, step: number): void {
    this.#value(step, text(1, tag), float(2, value));
  }

  /** A sound to listen to: samples [N] in [-1, 1]. */
  audio(tag: string, samples: Float32Array, sampleRate: number, step: number): void {
    const sound = [
      float(1, sampleRate),
      integer(2, 1), // channel
      integer(3, samples.length),
      bytes(4, encodeWav(samples, sampleRate)),
      text(5, 'audio/wav'),
    ];
    this.#value(step, text(1, tag), message(6, ...sound));
  }

  /** A text, shown as Markdown. */
  text(tag: string, value: string, step: number): void {
    const tensor = [integer(1, TENSOR_OF_STRINGS), message(2, message(2, integer(1, 1))), text(8, value)];
    const metadata = message(9, message(1, text(1, 'text')));
    this.#value(step, text(1, tag), message(8, ...tensor), metadata);
  }

  /** Puts what was written on the disk. */
  flush(): void {
    fsyncSync(this.#file);
  }

  /** The writer cannot be used afterwards. */
  close(): void {
    this.flush();
    closeSync(this.#file);
  }

  #value(step: number, ...fields: Buffer[]): void {
    this.#event(message(5, message(1, ...fields)), step);
  }

  #event(body: Buffer, step = 0): void {
    const event = Buffer.concat([double(1, Date.now() / 1000), integer(2, step), body]);
    writeSync(this.#file, record(event));
  }
}

const SESSION_START = 1; // SessionLog.START
const TENSOR_OF_STRINGS = 7; // DT_STRING

// Protocol buffers: a field is its number and wire type, then a varint (0), 8 bytes (1), a length and bytes (2) or 4 bytes (5).

/** Nought is the default and is left out. */
const integer = (field: number, value: number) =>
  value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(field * 8), varint(value)]);
const message = (field: number, ...parts: Buffer[]) => bytes(field, Buffer.concat(parts));
const text = (field: number, value: string) => bytes(field, Buffer.from(value));
const bytes = (field: number, value: Uint8Array) => Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);

function double(field: number, value: number): Buffer {
  const buffer = Buffer.alloc(9);
  buffer[0] = field * 8 + 1;
  buffer.writeDoubleLE(value, 1);
  return buffer;
}

function float(field: number, value: number): Buffer {
  const buffer = Buffer.alloc(5);
  buffer[0] = field * 8 + 5;
  buffer.writeFloatLE(value, 1);
  return buffer;
}

function varint(value: number): Buffer {
  const digits: number[] = [];
  let rest = value;
  do {
    digits.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(digits);
}

/** TFRecord: the length, its checksum, the data, its checksum. */
function record(data: Buffer): Buffer {
  const buffer = Buffer.alloc(data.length + 16);
  buffer.writeUInt32LE(data.length, 0); // of 8 bytes; an event is never longer than 4 GiB
  buffer.writeUInt32LE(maskedCrc32c(buffer.subarray(0, 8)), 8);
  data.copy(buffer, 12);
  buffer.writeUInt32LE(maskedCrc32c(data), data.length + 12);
  return buffer;
}

const CRC32C_POLYNOMIAL = 0x82f63b78; // Castagnoli, reflected
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC32C_POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C, rotated and shifted so that a checksum of data that contains checksums stays meaningful. */
export function maskedCrc32c(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
