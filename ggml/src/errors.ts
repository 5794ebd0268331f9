/** A failure of ggml itself or of its use: missing library, out of memory, freed object, unsupported operation. */
export class GgmlError extends Error {
  override name = 'GgmlError';
}

/** A tensor whose dimensions, strides or element count do not fit the operation that it was given to. */
export class ShapeError extends GgmlError {
  override name = 'ShapeError';
}
