import { joined, type Prompt } from './prompt.js';

/** As much speech as a voice is known by; the evaluation of the released model takes three seconds too. */
const CARRIED_SECONDS = 3;
/** The most positions that the carried speech and its text may take of all; the rest is for what is said next. */
const CARRIED_SHARE = 0.7;

const promptOf = (spoken: readonly Prompt[]): Prompt => ({
  text: spoken.map(({ text }) => text.trim()).join(' '),
  latents: joined(spoken.map(({ latents }) => latents)),
});

interface Spoken extends Prompt {
  positions: number;
}

/** What was said last, as the prompt of what is said next: whole utterances, since only they have a text of their own. */
export class CarriedVoice {
  #spoken: Spoken[] = [];

  constructor(private readonly sizes: { latentDim: number; frameRate: number; maxPositions: number }) {}

  /** As much of what was said last as fits; undefined where nothing does, and before the first utterance. */
  promptThat(fits: (prompt: Prompt) => boolean): Prompt | undefined {
    return this.#spoken.map((_, first) => promptOf(this.#spoken.slice(first))).find(fits);
  }

  /** Adds an utterance of this many tokens that ended by itself; one that is too long to go on from is passed over. */
  add({ text, latents }: Prompt, tokens: number): void {
    const { latentDim, frameRate, maxPositions } = this.sizes;
    const most = CARRIED_SHARE * maxPositions;
    const positions = tokens + latents.length / latentDim;
    if (latents.length === 0 || positions > most) return;
    this.#spoken.push({ text, latents, positions });
    const seconds = (of: readonly Spoken[]) => of.reduce((sum, { latents }) => sum + latents.length, 0) / latentDim / frameRate; // prettier-ignore
    const all = (of: readonly Spoken[]) => of.reduce((sum, { positions }) => sum + positions, 0);
    while (seconds(this.#spoken.slice(1)) >= CARRIED_SECONDS || all(this.#spoken) > most) this.#spoken.shift();
  }
}
