import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAudio } from '../audio/write-audio.js';
import { SledTts } from '../sled-tts.js';

export interface SampleOptions {
  /** Checkpoint to speak with; its averaged weights where it has them. */
  checkpoint: string;
  /** Directory of the codec. */
  codec: string;
  sentences: readonly string[];
  /** Folder of the WAV files. */
  out: string;
  step: number;
  threads?: number;
}

/** A sentence as the model speaks it at one step. */
export interface SpokenSample {
  name: string;
  samples: Float32Array;
  sampleRate: number;
}

/** A model that has not learned to end yet speaks for ever. */
const MAX_SECONDS = 12;

/** Speaks sentences with a checkpoint, on the engine that users will hear it on, to `out/step-N-i.wav`. */
export async function speakSamples({
  checkpoint,
  codec,
  sentences,
  out,
  step,
  threads = 1,
}: SampleOptions): Promise<SpokenSample[]> {
  await mkdir(out, { recursive: true });
  const tts = await SledTts.load({ model: checkpoint, codec, threads });
  try {
    const spoken: SpokenSample[] = [];
    for (const [i, sentence] of sentences.entries()) {
      const { samples, sampleRate } = await tts.generate(sentence, { maxSeconds: MAX_SECONDS });
      await writeAudio(join(out, `step-${step}-${i}.wav`), samples, sampleRate);
      spoken.push({ name: `sample/${i}`, samples, sampleRate });
    }
    return spoken;
  } finally {
    await tts.free();
  }
}
