import type { Channel } from './channel.js';
import { ChunkedDecoder } from './chunked-decoder.js';
import { generateFrames } from './generate-frames.js';
import { framesOf, framesWithin, sharedPrefix, type Prompt } from './prompt.js';
import { frameRateOf, type SpeechOptions, type SpeechParts } from './speech.js';
import { expectedFrames } from './speaking-rate.js';
import type { Utterance } from './utterances.js';
import { Voice } from './voice.js';
import { WordAligner } from './word-aligner.js';

/** An utterance as it was spoken; its frames [D] are numbered through the whole speech. */
export interface SpokenUtterance {
  /** What was read of the text; '' where ids come without their text. */
  text: string;
  /** Number of its first frame. */
  start: number;
  frames: readonly Float32Array[];
  /** Ids that were read, the prompt's among them. */
  tokens: number;
  /** Whether the network ended it by itself. */
  ended: boolean;
}

/** Speech that takes several times as long as usual has lost its way. */
const PATIENCE = 4;
const PATIENCE_SECONDS = 2;

/** Speaks utterance after utterance into a channel; until a flush() they sound as one. */
export class UtteranceSpeaker {
  #decoder: ChunkedDecoder | undefined;
  #frames = 0;
  /** Whether there was anything to speak. */
  spoke = false;

  constructor(
    private readonly parts: SpeechParts,
    private readonly options: SpeechOptions,
    private readonly channel: Channel<Promise<Float32Array>>,
  ) {}

  get framesLeft(): number {
    return this.options.maxFrames - this.#frames;
  }

  async speak(utterance: Utterance, prompt: Prompt | undefined): Promise<SpokenUtterance> {
    const { onWarning, onFrame, onUtterance } = this.options;
    const decoder = await this.#decoderAfter(prompt);
    const [frames, start, most]: [Float32Array[], number, number] = [[], this.#frames, this.framesLeft];
    const words = this.#alignerFrom(start, utterance);
    const { generation, tokens } = this.#generate(utterance, prompt, decoder, words);
    this.spoke = true;
    for (;;) {
      const { value, done } = await generation.next();
      if (done) {
        const spoken = { text: utterance.text, start, frames, tokens: tokens(), ended: value === 'end' };
        if (!spoken.ended && frames.length < most)
          onWarning?.(`the voice did not end by itself; cut after ${frames.length} frames`);
        if (spoken.ended && frames.length === 0)
          onWarning?.('the voice ended an utterance before its first frame; none of its text is heard');
        words?.end(this.#lengthOf(spoken, utterance, prompt));
        onUtterance?.(spoken);
        return spoken;
      }
      frames.push(value);
      this.#frames++;
      onFrame?.(value);
      await decoder.push(value);
    }
  }

  /** Lets all sound out; what follows sounds as if it stood alone. */
  async flush(): Promise<void> {
    await this.#decoder?.flush();
    await this.free();
  }

  async free(): Promise<void> {
    const decoder = this.#decoder;
    this.#decoder = undefined;
    await decoder?.free();
  }

  /** The decoder that is in use, or a new one that has heard the prompt. */
  async #decoderAfter(prompt: Prompt | undefined): Promise<ChunkedDecoder> {
    if (this.#decoder) return this.#decoder;
    const decoder = new ChunkedDecoder(this.parts.codec, this.channel);
    this.#decoder = decoder;
    if (prompt) await decoder.begin(prompt.latents, this.options.includePrompt === true && !this.spoke);
    return decoder;
  }

  #alignerFrom(start: number, utterance: Utterance): WordAligner | undefined {
    const { onWord } = this.options;
    if (!onWord) return undefined;
    return new WordAligner(utterance, this.parts.config, (word) =>
      onWord({ ...word, start: start + word.start, end: start + word.end }),
    );
  }

  #lengthOf({ tokens, frames, ended }: SpokenUtterance, utterance: Utterance, prompt: Prompt | undefined) {
    const { config, codec } = this.parts;
    const usual = expectedFrames(tokens - utterance.certain, config.text, frameRateOf(codec));
    return {
      tokens,
      frames: frames.length,
      expected: ended ? frames.length : Math.max(frames.length, usual),
      given: (prompt?.latents.length ?? 0) / config.latentDim,
      continued: prompt?.text === '',
    };
  }

  #generate(utterance: Utterance, prompt: Prompt | undefined, decoder: ChunkedDecoder, words?: WordAligner) {
    const { session, config, codec } = this.parts;
    const { noise, guidanceScale, signal } = this.options;
    const rate = frameRateOf(codec);
    const left = this.framesLeft;
    const given = prompt ? framesOf(prompt.latents, config.latentDim) : [];
    let tokens = 0;
    const limit = (read: number) => {
      tokens = read;
      const own = Math.max(0, read - utterance.certain);
      const patience = Math.ceil(PATIENCE * expectedFrames(own, config.text, rate) + PATIENCE_SECONDS * rate);
      // What is drawn while text is being read is not the network's choice, least of all while that text is the prompt's.
      return Math.min(left, Math.max(patience, framesWithin(read, config) - given.length));
    };
    const generation = generateFrames(session, config, utterance, {
      noise,
      guidanceScale,
      signal,
      prompt: given,
      prefix: prompt instanceof Voice ? sharedPrefix(prompt, config, utterance.certain, given.length) : undefined,
      maxFrames: limit,
      onWaiting: () => void decoder.decode(),
      onAttention: words && ((weights) => words.push(weights)),
    });
    return { generation, tokens: () => tokens };
  }
}
