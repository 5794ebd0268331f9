import { readFileSync } from 'node:fs';
import { wordPhonemes } from './pronounce.js';
import { fromIpa } from './transcription.js';

/** A user's words with their sound: IPA, Kokoro's alphabet, or a respelling in English words ("engine ex"). */
export type Pronunciations = Readonly<Record<string, string>>;

/**
 * The phoneme tokens of one listed sound. Plain ASCII letters, spaces, hyphens and apostrophes are a respelling, unless
 * they stand between slashes; everything else is IPA or Kokoro's alphabet. A RangeError names a letter without a sound.
 */
export function parsePronunciation(word: string, sound: string): string[] {
  const trimmed = sound.trim();
  const bracketed = /^[/[](.*)[/\]]$/.exec(trimmed);
  const respelled = bracketed === null && /^[A-Za-z' -]+$/.test(trimmed);
  const tokens = respelled
    ? trimmed.split(/[ -]+/).flatMap((part) => [...wordPhonemes(part)])
    : fromIpa(bracketed?.[1] ?? trimmed, (letter) => {
        throw new RangeError(
          `pronunciation of "${word}": "${letter}" in "${sound}" is not a sound of the alphabet; write American IPA such as /ˈkæfeɪ/, or respell it with English words`,
        );
      });
  if (tokens.length === 0) throw new RangeError(`pronunciation of "${word}": "${sound}" has no sound in it`);
  return tokens;
}

/** A user's list, parsed; words are asked for in lower case. */
export function parsePronunciations(list: Pronunciations): ReadonlyMap<string, readonly string[]> {
  return new Map(
    Object.entries(list).map(([word, sound]) => {
      if (!/^[A-Za-z']+$/.test(word)) {
        throw new RangeError(
          `pronunciation of "${word}": expected one word of letters A to Z and apostrophes; list the parts of a phrase one by one`,
        );
      }
      return [word.toLowerCase(), parsePronunciation(word, sound)];
    }),
  );
}

// A list of everything a person could want is far smaller; a larger file is another file.
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/**
 * Reads a list of pronunciations: JSON `{"word": "sound"}` or lines `word<TAB>sound` or `word => sound`, # for comments.
 * A RangeError names the file, the line and what was expected.
 */
export function loadPronunciations(path: string): Pronunciations {
  const text = readFileSync(path, 'utf8');
  if (text.length > MAX_FILE_BYTES)
    throw new RangeError(`${path}: expected at most ${MAX_FILE_BYTES} bytes of pronunciations, got ${text.length}`);
  const list = text.trimStart().startsWith('{') ? fromJson(path, text) : fromLines(path, text);
  try {
    parsePronunciations(list);
  } catch (error) {
    throw new RangeError(`${path}: ${(error as Error).message}`, { cause: error });
  }
  return list;
}

function fromJson(path: string, text: string): Pronunciations {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`${path}: expected JSON {"word": "sound"}: ${(error as Error).message}`, { cause: error });
  }
  for (const [word, sound] of Object.entries(parsed as object)) {
    if (typeof sound !== 'string')
      throw new RangeError(`${path}: expected a string for "${word}", got ${JSON.stringify(sound)}`);
  }
  return parsed as Pronunciations;
}

function fromLines(path: string, text: string): Pronunciations {
  const list: Record<string, string> = {};
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const match = /^(\S+)(?:\t+| *=> *)(\S.*)$/.exec(line.trimEnd());
    if (match === null)
      throw new RangeError(`${path}:${index + 1}: expected word<TAB>sound or word => sound, got "${line}"`);
    list[match[1]] = match[2];
  });
  return list;
}
