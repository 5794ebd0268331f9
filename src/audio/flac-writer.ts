import { createRequire } from 'node:module';
import type * as libflac from 'libflacjs/dist/libflac.min.js';
import { AudioError } from './audio.js';
import type { StreamEncoder } from './formats.js';

type Flac = typeof libflac;

const BITS = 16;
const COMPRESSION = 5; // of 8; libFLAC's default
/** `fLaC` and the block that says rate, length and checksum; it is written again when they are known. */
const START_BYTES = 42;

let library: Promise<Flac> | undefined;

/** libFLAC compiled to JavaScript: its WebAssembly build does not find its own file on Node. */
function loadFlac(): Promise<Flac> {
  library ??= new Promise((resolve) => {
    const flac = createRequire(import.meta.url)('libflacjs/dist/libflac.min.js') as Flac;
    if (flac.isReady()) resolve(flac);
    else flac.on('ready', () => resolve(flac));
  });
  return library;
}

/** Mono FLAC of 16 bits. */
class FlacStream implements StreamEncoder {
  readonly #encoder: number;
  #written: Uint8Array[] = [];
  /** The bytes before the frames, the first of which are made anew at the end. */
  #head: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly flac: Flac,
    sampleRate: number,
  ) {
    this.#encoder = flac.create_libflac_encoder(sampleRate, 1, BITS, COMPRESSION, 0, false, 0);
    const write = (bytes: Uint8Array) => void this.#written.push(bytes.slice());
    const finish = (info: libflac.StreamMetadata | undefined) => void (info && this.#complete(info));
    const status = this.#encoder === 0 ? -1 : flac.init_encoder_stream(this.#encoder, write, finish);
    if (status !== 0) throw new AudioError(`FLAC: libFLAC refuses ${sampleRate} Hz (${status})`);
    this.#head = this.#take();
  }

  start(sampleCount?: number): Uint8Array {
    return sampleCount === undefined ? this.#head : this.#head.subarray(0, START_BYTES);
  }

  chunk(samples: Float32Array): Uint8Array {
    const pcm = Int32Array.from(samples, (x) => Math.max(-0x8000, Math.min(0x7fff, Math.round(x * 0x8000))));
    if (pcm.length > 0 && !this.flac.FLAC__stream_encoder_process_interleaved(this.#encoder, pcm, pcm.length))
      throw new AudioError('FLAC: libFLAC cannot encode the samples');
    return this.#take();
  }

  end(): Uint8Array {
    this.flac.FLAC__stream_encoder_finish(this.#encoder);
    this.flac.FLAC__stream_encoder_delete(this.#encoder);
    return this.#take();
  }

  abort(): void {
    this.flac.FLAC__stream_encoder_delete(this.#encoder);
  }

  /** What only the end tells: sizes of frames, number of samples, MD5 of them. */
  #complete({ md5sum, total_samples, min_framesize, max_framesize }: libflac.StreamMetadata): void {
    const head = Buffer.from(this.#head);
    head.writeUIntBE(min_framesize, 12, 3);
    head.writeUIntBE(max_framesize, 15, 3);
    const packed = (head.readBigUInt64BE(18) & ~0xfffffffffn) | BigInt(total_samples); // the lower 36 bits
    head.writeBigUInt64BE(packed, 18);
    head.write(md5sum, 26, 'hex');
    this.#head = head;
  }

  #take(): Uint8Array {
    const bytes = Buffer.concat(this.#written);
    this.#written = [];
    return bytes;
  }
}

/** Encodes mono speech as FLAC of 16 bits; libFLAC is loaded on first use. */
export async function createFlacEncoder(sampleRate: number): Promise<StreamEncoder> {
  return new FlacStream(await loadFlac(), sampleRate);
}
