/** Channels [channels][N] -> their mean [N]. */
export function meanOf(channels: readonly Float32Array[]): Float32Array {
  if (channels.length === 1) return channels[0];
  const mean = new Float32Array(channels[0]?.length ?? 0);
  for (const channel of channels) for (let i = 0; i < mean.length; i++) mean[i] += channel[i] / channels.length;
  return mean;
}

/** Pieces one after another. */
export function joinSamples(pieces: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let filled = 0;
  for (const piece of pieces) {
    whole.set(piece, filled);
    filled += piece.length;
  }
  return whole;
}
