import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative, resolve, sep } from 'node:path';
import { AUDIO_FORMATS } from '../audio/formats.js';
import { openAudioStream } from '../audio/stream-audio.js';
import { ManifestError } from './manifest.js';

/** A line of the short form. */
export interface ShortLine {
  id: string;
  start: number;
  duration: number;
  supervisions: { text: string; speaker?: string }[];
  recording: { sources: { source: string }[]; sampling_rate: number };
  type: 'MonoCut';
}

/** A recording whose transcript was found. */
interface Transcribed {
  /** Absolute. */
  path: string;
  text: string;
}

/** How transcripts are stored: beside each recording, or in one table for all. */
const SIDE_FILES = ['.normalized.txt', '.txt', '.lab']; // LibriTTS first: it has .original.txt too
/** LJSpeech: id|text|normalised text. Tables of others hold a file name in place of the id. */
const TABLES = ['metadata.csv'];
/** LibriSpeech: `id text` for every recording of a folder. */
const TRANSCRIPT_LIST = /\.trans\.txt$/;

/**
 * Finds the recordings of a folder and their transcripts: `metadata.csv` as LJSpeech has it, `*.normalized.txt` as
 * LibriTTS, `*.trans.txt` as LibriSpeech, or a text file beside each recording.
 * @param relativeTo folder that the sources are written relative to
 * @param onMissing told of each recording that has no transcript, or that cannot be read
 * @throws {ManifestError} where nothing is found
 */
export async function* makeManifest(
  folder: string,
  { relativeTo = folder, onMissing }: { relativeTo?: string; onMissing?: (problem: string) => void },
): AsyncGenerator<ShortLine> {
  if (!existsSync(folder)) throw new ManifestError(`${folder}: no such folder`);
  let found = 0;
  for (const { path, text } of transcribed(resolve(folder), onMissing ?? (() => {}))) {
    const line = await describe(path, text, { folder: resolve(folder), relativeTo: resolve(relativeTo) }).catch(
      (error: Error) => onMissing?.(error.message),
    );
    if (!line) continue;
    found++;
    yield line;
  }
  if (found === 0)
    throw new ManifestError(
      `${folder}: no recordings with transcripts; expected metadata.csv, *.trans.txt, or ${SIDE_FILES.join(', ')} beside each recording`,
    );
}

async function describe(
  path: string,
  text: string,
  { folder, relativeTo }: { folder: string; relativeTo: string },
): Promise<ShortLine> {
  const { length, sampleRate, blocks, close } = await openAudioStream(path);
  try {
    let samples = length;
    if (samples === 0) for await (const block of blocks) samples += block.length;
    return {
      id: posix(relative(folder, path)).replace(/\.[^.]+$/, ''),
      start: 0,
      duration: samples / sampleRate,
      supervisions: [{ text }],
      recording: { sources: [{ source: posix(relative(relativeTo, path)) }], sampling_rate: sampleRate },
      type: 'MonoCut',
    };
  } finally {
    await close();
  }
}

const posix = (path: string) => path.split(sep).join('/');

function* transcribed(folder: string, onMissing: (problem: string) => void): Generator<Transcribed> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const extensions = new Set(AUDIO_FORMATS.filter(({ decode }) => decode).flatMap((format) => format.extensions));
  const table = readTables(folder, names);
  for (const name of names) {
    if (!extensions.has(extname(name).toLowerCase())) continue;
    const path = join(folder, name);
    const stem = path.slice(0, -extname(path).length);
    const side = SIDE_FILES.map((ending) => stem + ending).find((file) => existsSync(file));
    const text = side === undefined ? table.get(keyOf(name)) : readFileSync(side, 'utf8');
    const clean = text?.replaceAll(/\s+/g, ' ').trim();
    if (clean) yield { path, text: clean };
    else onMissing(`${path}: no transcript`);
  }
}

const keyOf = (name: string) => posix(name).replace(/^.*\//, '').replace(/\.[^.]+$/, ''); // prettier-ignore

/** File name without its ending -> text, of all tables and lists. */
function readTables(folder: string, names: readonly string[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const name of names) {
    const isTable = TABLES.includes(keyOf(name) + extname(name));
    if (!isTable && !TRANSCRIPT_LIST.test(name)) continue;
    readFileSync(join(folder, name), 'utf8')
      .split(/\r?\n/)
      .forEach((line, i) => {
        if (line.trim() === '') return;
        const [id, text] = isTable ? tableRow(line) : [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)];
        if (text === undefined)
          throw new ManifestError(`${join(folder, name)}:${i + 1}: expected id|text, got ${line}`);
        texts.set(keyOf(id), text);
      });
  }
  return texts;
}

/** LJSpeech's third column has numbers and abbreviations written out. */
function tableRow(line: string): [string, string | undefined] {
  const [id, text, normalised] = line.split('|');
  return [/\.[a-z0-9]+$/i.test(id) ? id : `${id}.wav`, normalised || text];
}
