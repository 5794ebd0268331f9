/** libopus as WebAssembly: the part of the package without native code, which has no types of its own. */
declare module '@evan/opus/wasm/index.js' {
  export class Encoder {
    constructor(options: {
      channels: 1 | 2;
      sample_rate: number;
      application: 'voip' | 'audio' | 'restricted_lowdelay';
    });
    /** Interleaved 16-bit samples of one frame -> a packet. */
    encode(samples: Int16Array): Uint8Array;
    ctl(command: number, value?: number): number;
    /** Frees it. */
    drop(): void;
  }
}
