import type { Voice } from '../../../src/generate/voice.js';
import type { Speaker, SpeakOptions, SpokenText } from '../../../src/cli/world.js';

export declare class FakeSpeaker implements Speaker {
  sampleRate: number;
  freed: number;
  calls: SpeakOptions[];
  constructor(delayMs?: number);
  stream(text: string | AsyncIterable<string>, options: SpeakOptions): AsyncIterable<Float32Array>;
  recording: Parameters<Speaker['createVoice']>[0] | undefined;
  saved: string | undefined;
  generateBatch(texts: readonly string[], options: SpeakOptions & { count: number }): Promise<SpokenText[]>;
  createVoice(recording: Parameters<Speaker['createVoice']>[0]): Promise<Voice>;
  free(): void;
}
