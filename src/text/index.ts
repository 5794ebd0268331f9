import { BytePairs } from './bpe.js';
import { EnglishPhonemes, type EnglishOptions } from './english.js';
import type { TextFrontEnd } from './front-end.js';

/** A model's text front end as its config names it. */
export type FrontEndConfig =
  | { readonly kind: 'phonemes-en' }
  /** `directory` holds `vocab.json` and `merges.txt`. */
  | { readonly kind: 'bpe'; readonly directory: string };

/** The front end of a config; the options are for phonemes and RangeErrors say what a file lacks. */
export function createFrontEnd(config: FrontEndConfig, options: EnglishOptions = {}): TextFrontEnd {
  return config.kind === 'bpe' ? BytePairs.load(config.directory) : new EnglishPhonemes(options);
}

export { BPE_SPECIALS, BytePairs } from './bpe.js';
export { type BpeTrainingOptions, type BpeVocabulary, saveBpe, trainBpe } from './bpe-train.js';
export { EnglishPhonemes, type EnglishOptions, spokenForm } from './english.js';
export type { TextFrontEnd, TextStream } from './front-end.js';
export { FIRST_PHONEME_ID, PHONEME_VOCAB_SIZE, PHONEMES, phonemeId } from './alphabet.js';
export { phonemeTokens } from './phonemes.js';
export { loadPronunciations, parsePronunciation, type Pronunciations } from './pronunciations.js';
export { splitSentences } from './sentences.js';
