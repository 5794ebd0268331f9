/** A seeded generator (sfc32) for shuffles and choices; noise for the network comes from its own engine. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** Any integers name the stream, e.g. seed, epoch: O(1) to come back to. */
  constructor(...key: number[]) {
    let h = 0x9e3779b9;
    for (const part of key) h = mix(h ^ mix(part | 0) ^ mix(Math.floor(part / 2 ** 32)));
    [this.a, this.b, this.c] = [mix(h + 1), mix(h + 2), mix(h + 3)];
    for (let i = 0; i < 12; i++) this.bits();
  }

  /** 32 uniform bits. */
  bits(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Fisher-Yates, in place. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}

/** murmur3's finaliser. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
