import type { Item } from './items.js';

/**
 * The rules' view of the typed items. A rule that looks at an item which has not arrived yet leaves `starved` set: its
 * result is thrown away and asked for again later, so that no result depends on how the text was cut.
 */
export class Reader {
  /** True when a rule needed an item that is still to come. */
  starved = false;

  constructor(
    private readonly items: readonly Item[],
    /** The index of the first item that is still to be said. */
    private readonly at: number,
    private readonly ended: boolean,
    /** The item before the first one. */
    readonly before: Item | undefined,
  ) {}

  /** The item `ahead` places on, across white space; undefined at the end of the text. */
  item(ahead: number): Item | undefined {
    const item = this.items[this.at + ahead];
    if (item === undefined && !this.ended) this.starved = true;
    return item;
  }

  /** The item `ahead` places on when no white space stands before it; never waits. */
  glued(ahead: number): Item | undefined {
    // Items arrive by whole chunks, so what is glued to an item is here with it.
    const item = this.items[this.at + ahead];
    return item?.glued === true ? item : undefined;
  }

  /** The text of a glued symbol or word, else ''. */
  gluedText(ahead: number): string {
    return this.glued(ahead)?.text ?? '';
  }
}
