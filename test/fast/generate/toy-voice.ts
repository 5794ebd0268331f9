import type { Codec, LatentDecoder } from '../../../src/codec/codec.js';
import { openSession } from '../../../src/generate/open-session.js';
import type { SpeechParts } from '../../../src/generate/speech.js';
import type { SledConfig } from '../../../src/model/config.js';
import { phonemeId, PHONEME_VOCAB_SIZE } from '../../../src/text/alphabet.js';
import type { TextFrontEnd, TextSpan } from '../../../src/text/front-end.js';
import { EXACT, goldenConfig, hashedCheckpoint } from './golden-cases.js';

/** Letters that are phonemes too: enough to write toy sentences. */
export const spelled = (text: string): number[] => [...text].map(phonemeId);

/** A front end that reads each character as a phoneme, word by word. */
export class ToyFrontEnd implements TextFrontEnd {
  readonly vocabSize = PHONEME_VOCAB_SIZE;

  encode(text: string): number[] {
    const stream = this.createStream();
    return [...stream.push(text), ...stream.end()];
  }

  createStream() {
    let [begun, held, at] = [false, '', 0];
    let words: (TextSpan | undefined)[] = [];
    const take = (text: string) => {
      words = begun ? [] : [undefined];
      const ids = begun ? [] : [0];
      begun = true;
      for (const [word] of text.matchAll(/ |[^ ]+/g)) {
        const span = word === ' ' ? undefined : { start: at, end: at + word.length };
        const letters = [...word];
        ids.push(...spelled(word));
        words.push(...letters.map((letter) => (/[.,!?]/.test(letter) ? undefined : span)));
        at += word.length;
      }
      return ids;
    };
    return {
      push: (text: string) => {
        held += text;
        const certain = held.lastIndexOf(' ') + 1;
        const ids = take(held.slice(0, certain));
        held = held.slice(certain);
        return ids;
      },
      end: () => {
        const ids = [...take(held), 2];
        words.push(undefined);
        return ids;
      },
      get words() {
        return words;
      },
    };
  }
}

/** Four samples a frame, one frame late: what a causal decoder with a look-ahead does. Counts what is alive. */
export class ToyCodec implements Codec {
  readonly hopLength = 4;
  readonly sampleRate = 100;
  decoders = 0;
  /** Frames of each call. */
  readonly calls: number[] = [];
  freed = false;

  readonly channelScale: Float32Array;

  constructor(readonly latentDim: number) {
    this.channelScale = new Float32Array(latentDim).fill(1);
  }

  /** The samples of a frame are its first channels. */
  async encode(samples: Float32Array): Promise<Float32Array> {
    const latents = new Float32Array(Math.ceil(samples.length / this.hopLength) * this.latentDim);
    samples.forEach((x, n) => {
      latents[Math.floor(n / this.hopLength) * this.latentDim + (n % this.hopLength)] = x;
    });
    return latents;
  }

  createDecoder(): LatentDecoder {
    this.decoders++;
    let held: Float32Array | undefined;
    const sound = (frame: Float32Array) => [...frame.subarray(0, this.hopLength)];
    return {
      startFrames: 2,
      decode: async (latents) => {
        this.calls.push(latents.length / this.latentDim);
        const samples: number[] = [];
        for (let i = 0; i < latents.length; i += this.latentDim) {
          if (held) samples.push(...sound(held));
          held = latents.slice(i, i + this.latentDim);
        }
        return Float32Array.from(samples);
      },
      flush: async () => Float32Array.from(held ? sound(held) : []),
      free: () => void this.decoders--,
    };
  }

  async free(): Promise<void> {
    this.freed = true;
  }
}

/** A tiny streaming voice with random weights, which never ends by itself. */
export async function toyVoice(changes: Partial<SledConfig> = {}): Promise<SpeechParts & { codec: ToyCodec }> {
  const config: SledConfig = {
    ...goldenConfig('even-stream'),
    vocabSize: PHONEME_VOCAB_SIZE,
    text: 'phonemes-en',
    guidanceScale: 2,
    ...changes,
  };
  const quiet = new Float32Array(config.width);
  const session = await openSession(config, hashedCheckpoint(config, quiet), EXACT);
  return { config, session, frontEnd: new ToyFrontEnd(), codec: new ToyCodec(config.latentDim) };
}
