import type { SpeechOutput } from './speech-output.js';

/** What speaking took. */
export interface SpeakingTime {
  /** Length of the speech. */
  seconds: number;
  /** Time spent computing it, waiting for outputs left out. */
  computeSeconds: number;
  /** From the start to the first sample; undefined where nothing was spoken. */
  firstAudioSeconds: number | undefined;
}

/** Hands speech to every output as it comes; on any failure or abort each output is left as if nothing had been. */
export async function speak(
  chunks: AsyncIterable<Float32Array>,
  sampleRate: number,
  outputs: SpeechOutput[],
  signal: AbortSignal,
): Promise<SpeakingTime> {
  const started = performance.now();
  let [samples, waitingMs] = [0, 0];
  let firstAudioSeconds: number | undefined;
  try {
    for await (const chunk of chunks) {
      if (chunk.length > 0) firstAudioSeconds ??= (performance.now() - started) / 1000;
      samples += chunk.length;
      const writing = performance.now();
      for (const output of outputs) await output.write(chunk);
      waitingMs += performance.now() - writing;
    }
    signal.throwIfAborted();
  } catch (error) {
    for (const output of outputs) await output.abort();
    throw error;
  }
  const computeSeconds = (performance.now() - started - waitingMs) / 1000;
  return { seconds: samples / sampleRate, computeSeconds, firstAudioSeconds };
}

/** `3.2 s of speech in 0.24 s, 0.075 of real time`. */
export function describeTime({ seconds, computeSeconds }: SpeakingTime): string {
  const factor = seconds > 0 ? computeSeconds / seconds : 0;
  return `${seconds.toFixed(2)} s of speech in ${computeSeconds.toFixed(2)} s, ${factor.toFixed(3)} of real time`;
}
