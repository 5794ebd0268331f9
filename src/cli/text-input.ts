import { addAbortSignal, type Readable } from 'node:stream';

/** A book's worth; more is a mistake, such as a film piped in. */
const MAX_TEXT_CHARACTERS = 10_000_000;

/** Standard input piece by piece as text, until the signal; characters that are cut between two pieces stay whole. */
export async function* textPieces(input: Readable, signal: AbortSignal): AsyncGenerator<string> {
  addAbortSignal(signal, input);
  const decoder = new TextDecoder('utf-8');
  let length = 0;
  for await (const piece of input) {
    const text = typeof piece === 'string' ? piece : decoder.decode(piece as Uint8Array, { stream: true });
    length += text.length;
    if (length > MAX_TEXT_CHARACTERS)
      throw new RangeError(`the text is longer than ${MAX_TEXT_CHARACTERS} characters; cut it into parts`);
    if (text) yield text;
  }
  const rest = decoder.decode();
  if (rest) yield rest;
}

/** The text of the command line, or all of standard input where there is none or it is `-`. */
export async function readText(words: string[], input: Readable, signal: AbortSignal): Promise<string> {
  if (words.length > 0 && !(words.length === 1 && words[0] === '-')) return words.join(' ');
  let text = '';
  for await (const piece of textPieces(input, signal)) text += piece;
  return text;
}
