import type { Chunk } from './chunks.js';
import type { TextSpan } from './front-end.js';

export type ItemKind =
  | 'word'
  | 'dotted'
  | 'number'
  | 'time'
  | 'date'
  | 'phone'
  | 'version'
  | 'email'
  | 'url'
  | 'file'
  | 'handle'
  | 'hashtag'
  | 'symbol';

/** One thing as it was typed. */
export interface Item {
  readonly kind: ItemKind;
  readonly text: string;
  /** No white space stands before it. */
  readonly glued: boolean;
  /** What stands before it when it opens a chunk. */
  readonly after: Chunk['after'];
  /** Where its chunk stands in the text: folding characters moves what is inside. */
  readonly span: TextSpan;
}

const TOP_LEVEL_DOMAINS =
  'com|org|net|edu|gov|mil|int|info|biz|io|ai|co|uk|us|ca|de|fr|es|it|nl|eu|ch|at|au|nz|jp|cn|in|br|ru|se|no|dk|fi|pl|ie|tv|me|app|dev|blog|shop|xyz|online|tech';
const FILE_EXTENSIONS =
  'txt|pdf|docx?|xlsx?|pptx?|csv|tsv|json|xml|ya?ml|toml|ini|html?|css|jsx?|tsx?|mjs|cjs|py|rb|rs|go|java|cpp|hpp|cc|sh|bat|exe|dll|zip|tar|gz|rar|7z|png|jpe?g|gif|svg|bmp|webp|mp3|mp4|wav|flac|ogg|avi|mov|mkv|md|log|sql|db|iso|apk|dmg|bin|gguf';

/** Tried in this order at every position; sticky. */
const PATTERNS: readonly (readonly [ItemKind, RegExp])[] = [
  ['url', new RegExp(`(?:https?|ftp)://[^\\s<>"]*[^\\s<>".,;:!?')\\]]|www\\.[^\\s<>"]*[^\\s<>".,;:!?')\\]]`, 'iy')],
  ['email', /[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}/y],
  [
    'url',
    new RegExp(
      `(?:[a-z0-9-]+\\.)+(?:${TOP_LEVEL_DOMAINS})(?![A-Za-z0-9-])(?!\\.[A-Za-z])(?:/[^\\s<>"]*[^\\s<>".,;:!?')\\]]|/)?`,
      'y',
    ),
  ],
  ['file', new RegExp(`[\\w-]+(?:\\.[\\w-]+)*\\.(?:${FILE_EXTENSIONS})(?![A-Za-z0-9])`, 'iy')],
  ['url', /(?:~|\.{1,2})?(?:\/[\w.-]*\w){2,}\/?|[A-Za-z]:\\[\w\\.-]*\w/y],
  ['handle', /@[A-Za-z_][A-Za-z0-9_]*/y],
  ['hashtag', /#[A-Za-z_][A-Za-z0-9_]*/y],
  ['date', /\d{4}-\d{2}-\d{2}(?![\d-])|\d{1,2}\/\d{1,2}\/(?:\d{4}|\d{2})(?![\d/])|\d{1,2}\.\d{1,2}\.\d{4}(?![\d.])/y],
  ['time', /(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?(?![\d:])/y],
  [
    'phone',
    /(?:\+?\d{1,3}[-.])?\d{3}[-.]\d{3}[-.]\d{4}(?!\d)|\d{3}-\d{4}(?![\d-])|\+\d{6,15}(?!\d)|\+\d{1,3}(?:-\d{1,5}){2,4}(?!\d)/y,
  ],
  ['version', /\d+(?:\.\d+){2,}/y],
  ['number', /\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+/y],
  ['dotted', /(?:[A-Za-z]\.){2,}(?![A-Za-z])|(?:[A-Za-z]\.)+[A-Za-z](?![A-Za-z.])|Ph\.D\.?/y],
  ['word', /[A-Za-z]+(?:'[A-Za-z]+)*'?|'[A-Za-z]+(?:'[A-Za-z]+)*'?/y],
];
// Markup tags of a page that was pasted; nobody reads them aloud.
const TAG = /<\/?[A-Za-z][^<>]{0,80}>|<!--.{0,80}?-->/y;

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** True where a word-like pattern may begin: "x@y" is no handle, "a.5" no decimal. */
function mayBegin(kind: ItemKind, match: string, before: string): boolean {
  if (kind === 'url' && /^[~./]/.test(match)) return before === '' || before === ' ' || before === '(';
  if (kind === 'handle' || kind === 'hashtag') return !/\w/.test(before);
  if (kind === 'number' && match.startsWith('.')) return !/[\w.]/.test(before);
  if (kind === 'dotted') return !/[A-Za-z0-9]/.test(before);
  if (kind === 'date' || kind === 'time' || kind === 'phone') return !/[\w.]/.test(before);
  return true;
}

/** The things in one chunk of folded characters, which stood at `span`. */
export function itemsOf(text: string, after: Chunk['after'], span: TextSpan): Item[] {
  const items: Item[] = [];
  let glued = false;
  for (let at = 0; at < text.length;) {
    const tag = matchAt(TAG, text, at);
    if (tag !== undefined || text[at] === ' ') {
      at += tag?.length ?? 1;
      glued = false;
      continue;
    }
    const before = at === 0 ? '' : text[at - 1];
    let [kind, match]: [ItemKind, string] = ['symbol', text[at]];
    for (const [candidate, pattern] of PATTERNS) {
      const found = matchAt(pattern, text, at);
      if (found !== undefined && mayBegin(candidate, found, before)) {
        [kind, match] = [candidate, found];
        break;
      }
    }
    items.push({ kind, text: match, glued, after: items.length === 0 ? after : 'space', span });
    glued = true;
    at += match.length;
  }
  return items;
}
