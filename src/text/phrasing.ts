import type { Piece } from './speech.js';

/** A piece as it is finally said: pauses have become stops. */
export type SpokenPiece = Exclude<Piece, { kind: 'pause' } | { kind: 'break' }>;

/** Settles the stops of a text: none before its first word, one at a time, pauses only between words. */
export class Phrasing {
  private spoken = false;
  private stopped = true;
  private pending: ',' | '.' | undefined;

  /** The pieces to be said now. */
  push(pieces: readonly Piece[]): SpokenPiece[] {
    const settled: SpokenPiece[] = [];
    for (const piece of pieces) {
      if (piece.kind === 'pause') this.pending ??= ',';
      else if (piece.kind === 'break') this.pending = '.';
      else if (piece.kind === 'stop') this.stop(piece.text, settled);
      else {
        if (this.pending !== undefined) this.stop(this.pending, settled);
        settled.push(piece);
        this.spoken = true;
        this.stopped = false;
      }
    }
    return settled;
  }

  private stop(text: ',' | '.' | '!' | '?', settled: SpokenPiece[]): void {
    this.pending = undefined;
    if (!this.spoken || this.stopped) return;
    settled.push({ kind: 'stop', text });
    this.stopped = true;
  }
}
