/** Text tokens read, then frames written. Offline is the one endless turn. */
export interface Turn {
  text: number;
  frames: number;
}

/** How many tokens and frames a turn holds; Infinity for one endless turn. */
export interface TurnLayout {
  textPerTurn: number;
  framesPerTurn: number;
}

/**
 * The order of L text tokens and T frames in a sequence: full turns while both last; then up to a turn's text,
 * all remaining frames, and the remaining text.
 */
export function planTurns(textLength: number, frameCount: number, { textPerTurn, framesPerTurn }: TurnLayout): Turn[] {
  const full = Math.min(Math.floor(textLength / textPerTurn), Math.floor(frameCount / framesPerTurn));
  const turns: Turn[] = Array.from({ length: full }, () => ({ text: textPerTurn, frames: framesPerTurn }));
  const textLeft = textLength - (full && full * textPerTurn);
  const framesLeft = frameCount - (full && full * framesPerTurn);
  const read = Math.min(textPerTurn, textLeft);
  if (read > 0 || framesLeft > 0) turns.push({ text: read, frames: framesLeft });
  if (textLeft > read) turns.push({ text: textLeft - read, frames: 0 });
  return turns;
}

/**
 * The same plan as positions: `source[s]` is the text token's index at position s, or L + the frame's index.
 * S = L + T positions.
 */
export function planPositions(textLength: number, frameCount: number, layout: TurnLayout): Int32Array {
  const source = new Int32Array(textLength + frameCount);
  let [position, text, frame] = [0, 0, 0];
  for (const turn of planTurns(textLength, frameCount, layout)) {
    for (let i = 0; i < turn.text; i++) source[position++] = text++;
    for (let i = 0; i < turn.frames; i++) source[position++] = textLength + frame++;
  }
  return source;
}
