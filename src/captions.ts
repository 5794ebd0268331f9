import type { SpokenWord } from './speak-options.js';

/** How timings of words are written: as data, or as captions of films and of web pages. */
export const TIMING_FORMATS = ['json', 'srt', 'vtt'] as const;
export type TimingFormat = (typeof TIMING_FORMATS)[number];

/** What is shown at once. */
interface Caption {
  lines: string[];
  startSeconds: number;
  endSeconds: number;
}

/** Two lines as broadcasters have them, and what can be read in a glance. */
const LINE_CHARACTERS = 42;
const LINES = 2;
const LONGEST_SECONDS = 6;
/** Silence that ends a caption. */
const SILENCE_SECONDS = 0.8;
/** A caption stays so long where nothing follows. */
const SHORTEST_SECONDS = 1;
const SENTENCE_END = /[.!?…]["'”’)\]]*$/;

/**
 * Words with their times, in order, as the text of a file: `json` is `{"words": [...]}`, `srt` SubRip, `vtt` WebVTT, whose captions
 * end with a sentence, before a silence, or where two lines are full.
 */
export function formatTimings(words: readonly SpokenWord[], format: TimingFormat): string {
  if (format === 'json') return `${JSON.stringify({ words }, null, 2)}\n`;
  const point = format === 'srt' ? ',' : '.';
  const cues = captionsOf(words).map(({ lines, startSeconds, endSeconds }, i) => {
    const times = `${clock(startSeconds, point)} --> ${clock(endSeconds, point)}`;
    const text = lines.join('\n');
    return format === 'srt' ? `${i + 1}\n${times}\n${text}\n` : `${times}\n${escaped(text)}\n`;
  });
  return [...(format === 'vtt' ? ['WEBVTT\n'] : []), ...cues].join('\n');
}

function captionsOf(words: readonly SpokenWord[]): Caption[] {
  const groups: SpokenWord[][] = [];
  for (const word of words) {
    const group = groups.at(-1);
    if (group && !endsBefore(group, word)) group.push(word);
    else groups.push([word]);
  }
  return groups.map((group, i) => {
    const { startSeconds } = group[0];
    const next = groups[i + 1]?.[0].startSeconds ?? Infinity;
    const shown = Math.max(group[group.length - 1].endSeconds, startSeconds + SHORTEST_SECONDS);
    return { lines: linesOf(group), startSeconds, endSeconds: Math.min(shown, next) };
  });
}

function endsBefore(group: readonly SpokenWord[], word: SpokenWord): boolean {
  const last = group[group.length - 1];
  return (
    SENTENCE_END.test(last.word) ||
    word.startSeconds - last.endSeconds > SILENCE_SECONDS ||
    word.endSeconds - group[0].startSeconds > LONGEST_SECONDS ||
    linesOf([...group, word]).length > LINES
  );
}

/** A word that is longer than a line has one to itself. */
function linesOf(words: readonly SpokenWord[]): string[] {
  const lines: string[] = [];
  for (const word of words.map((one) => one.word.replace(/\s+/g, ' '))) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} ${word}` : undefined;
    if (longer !== undefined && longer.length <= LINE_CHARACTERS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** `01:02:03.456` */
function clock(seconds: number, point: string): string {
  const ms = Math.round(seconds * 1000);
  const parts = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1000) % 60];
  const [hours, minutes, rest] = parts.map((part) => String(part).padStart(2, '0'));
  return `${hours}:${minutes}:${rest}${point}${String(ms % 1000).padStart(3, '0')}`;
}
