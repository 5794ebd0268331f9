import { BytePairs, readBpeFiles, type BpeFiles } from './bpe.js';
import { EnglishPhonemes, type EnglishOptions } from './english.js';
import type { TextFrontEnd } from './front-end.js';

/** A model's text front end as its config names it. */
export type FrontEndConfig =
  | { readonly kind: 'phonemes-en' }
  /** `directory` holds `vocab.json` and `merges.txt`, or names where `files` are from. */
  | { readonly kind: 'bpe'; readonly directory: string; readonly files?: BpeFiles };

/** The front end of a config; the options are for phonemes and RangeErrors say what a file lacks. */
export function createFrontEnd(config: FrontEndConfig, options: EnglishOptions = {}): TextFrontEnd {
  if (config.kind === 'phonemes-en') return new EnglishPhonemes(options);
  return BytePairs.parse(config.files ?? readBpeFiles(config.directory), config.directory);
}

export { BPE_SPECIALS, BytePairs, readBpeFiles, type BpeFiles } from './bpe.js';
export { type BpeTrainingOptions, type BpeVocabulary, saveBpe, trainBpe } from './bpe-train.js';
export { EnglishPhonemes, type EnglishOptions, spokenForm } from './english.js';
export type { TextFrontEnd, TextStream } from './front-end.js';
export { FIRST_PHONEME_ID, PHONEME_VOCAB_SIZE, PHONEMES, phonemeId } from './alphabet.js';
export { phonemeTokens } from './phonemes.js';
export { loadPronunciations, parsePronunciation, type Pronunciations } from './pronunciations.js';
export { splitSentences } from './sentences.js';
