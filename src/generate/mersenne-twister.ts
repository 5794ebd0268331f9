const SIZE = 624;
const SHIFT = 397;

/** MT19937 (Matsumoto and Nishimura, 1998), seeded as PyTorch's CPU generator seeds it: by the seed's low 32 bits. */
export class MersenneTwister {
  readonly #state = new Uint32Array(SIZE);
  #next = SIZE;

  constructor(seed: number) {
    const s = this.#state;
    s[0] = seed;
    for (let i = 1; i < SIZE; i++) s[i] = Math.imul(1812433253, s[i - 1] ^ (s[i - 1] >>> 30)) + i;
  }

  /** Another generator that goes on from here. */
  copy(): MersenneTwister {
    const copy = new MersenneTwister(0);
    copy.#state.set(this.#state);
    copy.#next = this.#next;
    return copy;
  }

  /** 32 random bits, as an unsigned integer. */
  bits32(): number {
    if (this.#next === SIZE) this.#twist();
    let y = this.#state[this.#next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const s = this.#state;
    for (let i = 0; i < SIZE; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % SIZE] & 0x7fffffff);
      s[i] = s[(i + SHIFT) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}
