import type { Speaker, SpeakOptions } from '../../../src/cli/world.js';

export declare class FakeSpeaker implements Speaker {
  sampleRate: number;
  freed: number;
  calls: SpeakOptions[];
  constructor(delayMs?: number);
  stream(text: string | AsyncIterable<string>, options: SpeakOptions): AsyncIterable<Float32Array>;
  free(): void;
}
