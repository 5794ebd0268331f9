/** Silence that a text asks for. */
export interface Pause {
  seconds: number;
}

/** Text to be said, and where it begins in the whole text, in UTF-16 code units. */
export interface SaidText {
  said: string;
  start: number;
}

const LONGEST_SECONDS = 60;
const PAUSE = /^\[pause:([^[\]\n]{0,16})\]/i;
/** What may still become a pause when more text comes. */
const BEGUN = /^\[(?:p|pa|pau|paus|pause|pause:[^[\]\n]{0,16})?$/i;

/** Finds `[pause:SECONDS]` in a text that arrives in pieces; how they were cut does not matter. */
export class PauseSplitter {
  #held = '';
  /** Where `#held` begins in the whole text. */
  #start = 0;

  /** `onWarning` is told of a pause that is left out since its length is none. */
  constructor(private readonly onWarning?: (message: string) => void) {}

  /** The text and the pauses that are certain, in order. */
  push(text: string): (SaidText | Pause)[] {
    return this.#split(this.#held + text, false);
  }

  /** The rest. */
  end(): (SaidText | Pause)[] {
    return this.#split(this.#held, true);
  }

  #split(text: string, ended: boolean): (SaidText | Pause)[] {
    const parts: (SaidText | Pause)[] = [];
    let said = '';
    this.#held = '';
    const say = (end: number) => {
      if (said !== '') parts.push({ said, start: this.#start + end - said.length });
      said = '';
    };
    let at = 0;
    while (at < text.length) {
      const rest = text.slice(at);
      const found = rest.startsWith('[') ? PAUSE.exec(rest) : null;
      if (found) {
        say(at);
        const pause = this.#parse(found[0], found[1]);
        if (pause) parts.push(pause);
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
    say(at);
    this.#start += at;
    return parts;
  }

  #parse(whole: string, number: string): Pause | undefined {
    const seconds = /^\s*\d+(\.\d+)?\s*$/.test(number) ? Number(number) : Number.NaN;
    if (seconds >= 0 && seconds <= LONGEST_SECONDS) return { seconds };
    this.onWarning?.(`left out '${whole}': expected [pause:SECONDS] with 0 to ${LONGEST_SECONDS}, such as [pause:0.5]`);
    return undefined;
  }
}
