import { PHONEME_VOCAB_SIZE, phonemeId } from './alphabet.js';
import type { TextFrontEnd, TextSpan, TextStream } from './front-end.js';
import { letterPhonemes } from './letters.js';
import { Normalizer } from './normalize.js';
import { Phrasing, type SpokenPiece } from './phrasing.js';
import { wordPhonemes } from './pronounce.js';
import { parsePronunciations, type Pronunciations } from './pronunciations.js';

const BEGIN = 0;
const END = 2;

export interface EnglishOptions {
  /** Words that are said in another way than the dictionary has it. */
  readonly pronunciations?: Pronunciations;
  /** Called at most once a text, when a character is left out because it has no English sound. */
  readonly onWarning?: (message: string) => void;
}

type Listed = ReadonlyMap<string, readonly string[]>;

/** A text that arrives in pieces, as words, letters and stops. */
class SpokenStream {
  private readonly normalizer: Normalizer;
  private readonly phrasing = new Phrasing();
  private warned = false;

  constructor(listed: Listed, onWarning: EnglishOptions['onWarning']) {
    this.normalizer = new Normalizer({
      listed: (word) => listed.get(word),
      skipped: (character) => {
        if (this.warned) return;
        this.warned = true;
        const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0') ?? '';
        onWarning?.(
          `left out "${character}" (U+${code}): it has no English sound; further ones of this text are left out silently`,
        );
      },
    });
  }

  push(text: string): SpokenPiece[] {
    return this.phrasing.push(this.normalizer.push(text));
  }

  end(): SpokenPiece[] {
    return this.phrasing.push(this.normalizer.end());
  }
}

// A longer run of letters is no word; it is read in parts.
const MAX_WORD_LETTERS = 40;

function wordSound(text: string, listed: Listed): readonly string[] {
  const own = listed.get(text.toLowerCase());
  if (own !== undefined) return own;
  if (text.length <= MAX_WORD_LETTERS) {
    const sound = wordPhonemes(text);
    return sound.length > 0 ? sound : letterPhonemes(text);
  }
  const parts = text.match(new RegExp(`.{1,${MAX_WORD_LETTERS / 2}}`, 'g')) ?? [];
  return parts.flatMap((part) => [...wordSound(part, listed)]);
}

/** A phoneme, and the written word that it says. */
interface Token {
  readonly text: string;
  readonly word?: TextSpan;
}

function tokensOf(pieces: readonly SpokenPiece[], first: boolean, listed: Listed): Token[] {
  const tokens: Token[] = [];
  let begun = !first;
  for (const piece of pieces) {
    if (piece.kind === 'stop') tokens.push({ text: piece.text });
    else {
      if (begun) tokens.push({ text: ' ' });
      begun = true;
      const sound =
        piece.kind === 'letters' ? letterPhonemes(piece.text) : (piece.sound ?? wordSound(piece.text, listed));
      tokens.push(...sound.map((text) => ({ text, word: piece.span })));
    }
  }
  return tokens;
}

/** English text as ids of phonemes; see `PHONEMES` for their order. */
export class EnglishPhonemes implements TextFrontEnd {
  readonly vocabSize = PHONEME_VOCAB_SIZE;
  private readonly listed: Listed;
  private readonly onWarning: EnglishOptions['onWarning'];

  /** A RangeError when a listed pronunciation cannot be read. */
  constructor(options: EnglishOptions = {}) {
    this.listed = parsePronunciations(options.pronunciations ?? {});
    this.onWarning = options.onWarning;
  }

  /** `<s>`, the phonemes of the whole text, `</s>`. */
  encode(text: string): number[] {
    const stream = this.createStream();
    return [...stream.push(text), ...stream.end()];
  }

  /** The phoneme tokens of a whole text; joined they are the text in Kokoro's alphabet. */
  tokens(text: string): string[] {
    return tokensOf(this.spoken(text), true, this.listed).map((token) => token.text);
  }

  /** A text as it is said, in plain words: "It costs $5." as "It costs five dollars."; letters that are named stand alone. */
  spokenForm(text: string): string {
    let form = '';
    for (const piece of this.spoken(text)) {
      if (piece.kind === 'stop') form += piece.text;
      else form += `${form === '' ? '' : ' '}${piece.kind === 'letters' ? [...piece.text].join(' ') : piece.text}`;
    }
    return form;
  }

  /** A text that arrives in pieces; its state does not grow with the text. */
  createStream(): TextStream {
    const spoken = new SpokenStream(this.listed, this.onWarning);
    let opened = false;
    let first = true;
    let words: (TextSpan | undefined)[] = [];
    const ids = (pieces: readonly SpokenPiece[]): number[] => {
      const tokens = tokensOf(pieces, first, this.listed);
      if (tokens.length > 0) first = false;
      const begin = opened ? [] : [BEGIN];
      opened = true;
      words = [...begin.map(() => undefined), ...tokens.map(({ word }) => word)];
      return [...begin, ...tokens.map(({ text }) => phonemeId(text))];
    };
    const end = (): number[] => {
      const rest = ids(spoken.end());
      words.push(undefined);
      return [...rest, END];
    };
    return {
      push: (text) => ids(spoken.push(text)),
      end,
      get words() {
        return words;
      },
    };
  }

  private spoken(text: string): SpokenPiece[] {
    const stream = new SpokenStream(this.listed, this.onWarning);
    return [...stream.push(text), ...stream.end()];
  }
}

/** `EnglishPhonemes.spokenForm` without a user's list. */
export function spokenForm(text: string): string {
  return new EnglishPhonemes().spokenForm(text);
}
