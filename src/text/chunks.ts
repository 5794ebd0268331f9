/** A run of characters between white space. */
export interface Chunk {
  readonly text: string;
  /** What separated it from the chunk before. */
  readonly after: 'start' | 'space' | 'line' | 'paragraph';
  /** Where it begins in the text, in code units. */
  readonly start: number;
}

// No word, number or address that is worth reading is longer; the bound keeps a text without spaces from piling up.
const MAX_CHUNK_LENGTH = 256;

/**
 * Cuts a text that arrives in pieces into chunks. A chunk is complete when white space or the end follows, or at 256
 * code units; how the pieces were cut does not matter.
 */
export class ChunkSplitter {
  private text = '';
  /** Where `text` ends. */
  private at = 0;
  private lines = 0;
  private started = false;

  /** The chunks that became complete. */
  push(text: string): Chunk[] {
    const complete: Chunk[] = [];
    for (const part of text.match(/\s|[^\s]+/g) ?? []) {
      if (/^\s$/.test(part)) {
        this.flush(complete);
        this.at++;
        if (/[\n\u2028\u2029]/.test(part)) this.lines = Math.min(this.lines + 1, 2);
      } else {
        this.text += part;
        this.at += part.length;
        this.cutLongText(complete);
      }
    }
    return complete;
  }

  /** The last chunk, if one was begun. */
  end(): Chunk[] {
    const complete: Chunk[] = [];
    this.flush(complete);
    return complete;
  }

  private cutLongText(complete: Chunk[]): void {
    while (this.text.length > MAX_CHUNK_LENGTH) {
      // A surrogate pair stays whole.
      const high = this.text.charCodeAt(MAX_CHUNK_LENGTH - 1);
      const length = high >= 0xd800 && high <= 0xdbff ? MAX_CHUNK_LENGTH - 1 : MAX_CHUNK_LENGTH;
      const rest = this.text.slice(length);
      this.text = this.text.slice(0, length);
      this.at -= rest.length;
      this.flush(complete);
      this.text = rest;
      this.at += rest.length;
    }
  }

  private flush(complete: Chunk[]): void {
    if (this.text === '') return;
    const after = !this.started ? 'start' : this.lines === 0 ? 'space' : this.lines === 1 ? 'line' : 'paragraph';
    complete.push({ text: this.text, after, start: this.at - this.text.length });
    this.text = '';
    this.lines = 0;
    this.started = true;
  }
}
