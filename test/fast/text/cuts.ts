/** Numbers in [0, 1) from a seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A text in parts of one to eight code units. */
export function cutRandomly(text: string, random: () => number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = at + 1 + Math.floor(random() * 8);
    parts.push(text.slice(at, end));
    at = end;
  }
  return parts;
}

/** A text of random parts. */
export function randomText(parts: readonly string[], random: () => number, maxParts: number): string {
  return Array.from({ length: Math.floor(random() * maxParts) }, () => parts[Math.floor(random() * parts.length)]).join(
    '',
  );
}
