/** Text to token ids, chosen by the model's config. */
export interface TextFrontEnd {
  /** Number of ids, specials included: 0 `<s>`, 1 `<pad>`, 2 `</s>`, 3 `<unk>`. */
  readonly vocabSize: number;
  /** `<s> ... </s>`; an empty text is `[0, 2]`. Equal to any chunking of `createStream`. */
  encode(text: string): number[];
  /** A text that arrives in pieces. */
  createStream(): TextStream;
}

/** Ids leave as soon as no later character can change them. */
export interface TextStream {
  /** The ids that became certain; the first call's begin with `<s>`. */
  push(text: string): number[];
  /** The rest, ending with `</s>`. */
  end(): number[];
}
