/** A checkpoint, config or voice that cannot be used; the message lists everything that is wrong with it. */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
}

/** A tensor or array whose shape does not fit. */
export class ShapeError extends RangeError {
  override name = 'ShapeError';
}
