/** Text to token ids, chosen by the model's config. */
export interface TextFrontEnd {
  /** Number of ids, specials included: 0 `<s>`, 1 `<pad>`, 2 `</s>`, 3 `<unk>`. */
  readonly vocabSize: number;
  /** `<s> ... </s>`; an empty text is `[0, 2]`. Equal to any chunking of `createStream`. */
  encode(text: string): number[];
  /** A text that arrives in pieces. */
  createStream(): TextStream;
}

/** Where a word stands in a text, in UTF-16 code units: with the signs that touch it, up to white space. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

/** Ids leave as soon as no later character can change them. */
export interface TextStream {
  /** The ids that became certain; the first call's begin with `<s>`. */
  push(text: string): number[];
  /** The rest, ending with `</s>`. */
  end(): number[];
  /**
   * The word that each id of the last push() or end() says, in the text so far; undefined for spaces, stops and special ids. What
   * is read as one, such as "5 March 2024", is one word. Ids of a word share the object, whose end may still grow with later ones.
   */
  readonly words: readonly (TextSpan | undefined)[];
}
