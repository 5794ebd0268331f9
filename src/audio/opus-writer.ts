import type * as libopus from '@evan/opus/wasm/index.js';
import { createRequire } from 'node:module';
import { AudioError } from './audio.js';
import type { StreamEncoder } from './formats.js';
import { MAX_PAGE_SEGMENTS, OggPageWriter, segmentsOf } from './ogg.js';

/** Rates that Opus takes as they are. */
const RATES = [8_000, 12_000, 16_000, 24_000, 48_000];

/** Positions in the file count at this rate. */
const GRANULE_RATE = 48_000;
const PACKETS_PER_SECOND = 50;

/** bits/s: wideband speech at this rate is hard to tell from the original. */
const BITRATE = 32_000;
const [SET_BITRATE, GET_LOOKAHEAD] = [4002, 4027]; // of libopus

/** Any number will do for the only stream of a file; a fixed one makes equal speech equal files. */
const SERIAL = 0x51ed;

/** Mono Opus in Ogg (RFC 7845). */
class OpusStream implements StreamEncoder {
  readonly #pages = new OggPageWriter(SERIAL);
  readonly #packetSamples: number;
  /** Samples that the encoder is behind; decoders drop them. */
  readonly #lookahead: number;
  #held = new Float32Array(0);
  #samples = 0;
  #packets = 0;
  /** Packets of the page that is being filled: the last one must be there when the end comes. */
  #page: Uint8Array[] = [];
  #segments = 0;

  constructor(
    private readonly encoder: libopus.Encoder,
    private readonly sampleRate: number,
  ) {
    this.#packetSamples = sampleRate / PACKETS_PER_SECOND;
    encoder.ctl(SET_BITRATE, BITRATE);
    this.#lookahead = encoder.ctl(GET_LOOKAHEAD);
  }

  /** The same whether or not the length is known: Opus writes it at the end. */
  start(): Uint8Array {
    const pages = new OggPageWriter(SERIAL);
    const head = Buffer.alloc(19);
    head.write('OpusHead\x01\x01', 'latin1'); // version 1, one channel
    head.writeUInt16LE(this.#granules(this.#lookahead), 10);
    head.writeUInt32LE(this.sampleRate, 12);
    const vendor = 'sled-tts';
    const tags = Buffer.alloc(16 + vendor.length);
    tags.write('OpusTags', 'latin1');
    tags.writeUInt32LE(vendor.length, 8);
    tags.write(vendor, 12, 'latin1');
    if (this.#packets === 0) for (const packet of [head, tags]) this.#pages.page([packet], 0); // they take two numbers
    return Buffer.concat([pages.page([head], 0), pages.page([tags], 0)]);
  }

  chunk(samples: Float32Array): Uint8Array {
    this.#samples += samples.length;
    const pages = this.#encode(samples);
    // A listener gets all but the newest packet, which may turn out to be the last.
    if (this.#page.length > 1) pages.push(this.#closePage(this.#page.length - 1));
    return Buffer.concat(pages);
  }

  /** Zeros push out what the encoder holds back; the last position says where the sound ends. */
  end(): Uint8Array {
    const missing = this.#samples + this.#lookahead - this.#packets * this.#packetSamples - this.#held.length;
    const rest = (this.#held.length + Math.max(missing, 0)) % this.#packetSamples;
    const padding = Math.max(missing, 0) + (rest > 0 ? this.#packetSamples - rest : 0);
    const pages = this.#encode(new Float32Array(padding));
    pages.push(this.#pages.page(this.#page, this.#granules(this.#samples + this.#lookahead), true));
    this.encoder.drop();
    return Buffer.concat(pages);
  }

  abort(): void {
    this.encoder.drop();
  }

  /** @returns The pages that became full. */
  #encode(samples: Float32Array): Uint8Array[] {
    const all = new Float32Array(this.#held.length + samples.length);
    all.set(this.#held);
    all.set(samples, this.#held.length);
    const pages: Uint8Array[] = [];
    let at = 0;
    for (; at + this.#packetSamples <= all.length; at += this.#packetSamples) {
      const packet = this.encoder.encode(pcm16(all.subarray(at, at + this.#packetSamples)));
      const segments = segmentsOf(packet).length;
      if (this.#segments + segments > MAX_PAGE_SEGMENTS) pages.push(this.#closePage(this.#page.length));
      this.#page.push(packet);
      this.#segments += segments;
      this.#packets++;
    }
    this.#held = all.slice(at);
    return pages;
  }

  #closePage(packets: number): Uint8Array {
    const left = this.#page.slice(packets);
    const position = (this.#packets - left.length) * this.#packetSamples;
    const page = this.#pages.page(this.#page.slice(0, packets), this.#granules(position));
    this.#page = left;
    this.#segments = left.reduce((sum, packet) => sum + segmentsOf(packet).length, 0);
    return page;
  }

  #granules(samples: number): number {
    return (samples * GRANULE_RATE) / this.sampleRate;
  }
}

function pcm16(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (x) => Math.max(-0x8000, Math.min(0x7fff, Math.round(x * 0x8000))));
}

/**
 * Encodes mono speech as Opus in Ogg, 32 kbit/s; libopus (WebAssembly) is loaded on first use.
 * @throws {AudioError} for a sample rate that Opus does not take.
 */
export async function createOpusEncoder(sampleRate: number): Promise<StreamEncoder> {
  if (!RATES.includes(sampleRate))
    throw new AudioError(
      `Opus: expected a sample rate of ${RATES.join(', ')} Hz, got ${sampleRate}; write WAV or FLAC`,
    );
  const { Encoder } = createRequire(import.meta.url)('@evan/opus/wasm/index.js') as typeof libopus;
  return new OpusStream(new Encoder({ channels: 1, sample_rate: sampleRate, application: 'audio' }), sampleRate);
}
