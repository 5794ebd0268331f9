/** What a test wants in a WAV file, right or wrong. */
export interface WavSpec {
  /** [channels][N] in [-1, 1). */
  channels: number[][];
  sampleRate?: number;
  /** 1 PCM, 3 float. */
  code: number;
  bits: number;
  extensible?: boolean;
  /** RF64, with the length in a chunk of its own. */
  long?: boolean;
  extraChunk?: boolean;
  declaredBits?: number;
  declaredBytes?: number;
  frameBytes?: number;
}

/** Writes a WAV file of any encoding. */
export function makeWav(spec: WavSpec): Uint8Array {
  const { channels, bits, code, extensible = false, long = false } = spec;
  const frameBytes = channels.length * (bits / 8);
  const sound = Buffer.concat((channels[0] ?? []).flatMap((_, i) => channels.map((one) => sample(one[i], code, bits))));
  const format = Buffer.alloc(extensible ? 40 : 16);
  format.writeUInt16LE(extensible ? 0xfffe : code, 0);
  format.writeUInt16LE(channels.length, 2);
  format.writeUInt32LE(spec.sampleRate ?? 24_000, 4);
  format.writeUInt16LE(spec.frameBytes ?? frameBytes, 12);
  format.writeUInt16LE(spec.declaredBits ?? bits, 14);
  if (extensible) format.writeUInt16LE(code, 24);
  const sizes = Buffer.alloc(28);
  sizes.writeBigUInt64LE(BigInt(sound.length), 8);
  const chunks = [
    ...(long ? [chunk('ds64', sizes)] : []),
    chunk('fmt ', format),
    ...(spec.extraChunk ? [chunk('LIST', Buffer.from('odd'))] : []),
    chunk('data', sound, long ? 0xffffffff : spec.declaredBytes),
  ];
  return Buffer.concat([Buffer.from(long ? 'RF64' : 'RIFF'), Buffer.alloc(4), Buffer.from('WAVE'), ...chunks]);
}

function chunk(name: string, body: Buffer, size = body.length): Buffer {
  const header = Buffer.alloc(8);
  header.write(name, 'latin1');
  header.writeUInt32LE(size, 4);
  return Buffer.concat([header, body, Buffer.alloc(body.length % 2)]);
}

function sample(value: number, code: number, bits: number): Buffer {
  const bytes = Buffer.alloc(bits / 8);
  if (code === 3 && bits === 32) bytes.writeFloatLE(value);
  else if (code === 3) bytes.writeDoubleLE(value);
  else if (bits === 8) bytes.writeUInt8(Math.round(value * 128) + 128);
  else bytes.writeIntLE(Math.round(value * 2 ** (bits - 1)), 0, bits / 8);
  return bytes;
}
