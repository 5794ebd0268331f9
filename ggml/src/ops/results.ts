import type { Tensor, TensorShape } from '../tensor.js';

/** Of a's type and dimensions, in memory of its own. */
export const like = ({ type, ne }: Tensor): TensorShape => ({ type, ne });
/** Of f32, otherwise like(). */
export const floats = ({ ne }: Tensor): TensorShape => ({ type: 'f32', ne });
/** Where `a` lies, all of it. */
export const inPlace = (a: Tensor): TensorShape => ({ type: a.type, ne: a.ne, nb: a.nb, viewOf: a, offset: a.offset });
