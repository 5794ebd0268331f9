/** Silence that a text asks for. */
export interface Pause {
  seconds: number;
}

const LONGEST_SECONDS = 60;
const PAUSE = /^\[pause:([^[\]\n]{0,16})\]/i;
/** What may still become a pause when more text comes. */
const BEGUN = /^\[(?:p|pa|pau|paus|pause|pause:[^[\]\n]{0,16})?$/i;

/** Finds `[pause:SECONDS]` in a text that arrives in pieces; how they were cut does not matter. */
export class PauseSplitter {
  #held = '';

  /** `onWarning` is told of a pause that is left out since its length is none. */
  constructor(private readonly onWarning?: (message: string) => void) {}

  /** The text and the pauses that are certain, in order. */
  push(text: string): (string | Pause)[] {
    return this.#split(this.#held + text, false);
  }

  /** The rest. */
  end(): (string | Pause)[] {
    return this.#split(this.#held, true);
  }

  #split(text: string, ended: boolean): (string | Pause)[] {
    const parts: (string | Pause)[] = [];
    let said = '';
    this.#held = '';
    for (let at = 0; at < text.length;) {
      const rest = text.slice(at);
      const found = rest.startsWith('[') ? PAUSE.exec(rest) : null;
      if (found) {
        const pause = this.#parse(found[0], found[1]);
        if (pause && said !== '') parts.push(said);
        if (pause) parts.push(pause);
        if (pause) said = '';
        at += found[0].length;
      } else if (!ended && rest.startsWith('[') && BEGUN.test(rest)) {
        this.#held = rest;
        break;
      } else {
        const next = text.indexOf('[', at + 1);
        const end = next < 0 ? text.length : next;
        said += text.slice(at, end);
        at = end;
      }
    }
    if (said !== '') parts.push(said);
    return parts;
  }

  #parse(whole: string, number: string): Pause | undefined {
    const seconds = /^\s*\d+(\.\d+)?\s*$/.test(number) ? Number(number) : Number.NaN;
    if (seconds >= 0 && seconds <= LONGEST_SECONDS) return { seconds };
    this.onWarning?.(`left out '${whole}': expected [pause:SECONDS] with 0 to ${LONGEST_SECONDS}, such as [pause:0.5]`);
    return undefined;
  }
}
