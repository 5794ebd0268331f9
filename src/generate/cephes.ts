/**
 * Single-precision logarithm, sine and cosine of the Cephes library (S. Moshier), rounded after each operation as PyTorch's
 * AVX2 kernels round: a product whose only use is a sum is fused with it.
 */

const round = Math.fround;
/** a * b + c with one rounding: the product of two float32 is exact in a double. */
const fused = (a: number, b: number, c: number) => round(a * b + c);

const LOG = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
].map(round);
const SQRT_HALF = round(Math.SQRT1_2);
/** ln 2 in two parts. */
const LN2_HIGH = round(0.693359375);
const LN2_LOW = round(-2.1219444e-4);

const SINE = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1].map(round);
const COSINE = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2].map(round);
const FOUR_OVER_PI = round(4 / Math.PI);
/** -pi / 4 in three parts. */
const MINUS_QUARTER_PI = [-0.78515625, -2.4187564849853516e-4, -3.774894977445941e-8].map(round);

const asBits = new Int32Array(1);
const asFloat = new Float32Array(asBits.buffer);

/** ln x for a float32 x in (0, 1]; zero counts as the smallest normal number. */
export function logFloat32(x: number): number {
  asFloat[0] = x;
  const bits = Math.max(asBits[0], 0x00800000);
  let exponent = (bits >>> 23) - 126;
  asBits[0] = (bits & 0x007fffff) | 0x3f000000; // the mantissa, in [0.5, 1)
  let m = asFloat[0];
  if (m < SQRT_HALF) {
    exponent -= 1;
    m = round(round(m - 1) + m);
  } else m = round(m - 1);
  const square = round(m * m);
  let y = LOG[0];
  for (let i = 1; i < LOG.length; i++) y = fused(y, m, LOG[i]);
  y = fused(round(y * m), square, round(exponent * LN2_LOW));
  y = fused(-square, 0.5, y);
  return fused(exponent, LN2_HIGH, round(m + y));
}

/** sin x and cos x for a float32 x in [0, 2 pi]. */
export function sincosFloat32(x: number): { sine: number; cosine: number } {
  const octant = (Math.trunc(round(x * FOUR_OVER_PI)) + 1) & ~1;
  let r = x;
  for (const part of MINUS_QUARTER_PI) r = fused(octant, part, r);
  const square = round(r * r);
  let c = fused(fused(COSINE[0], square, COSINE[1]), square, COSINE[2]);
  c = round(fused(round(c * square), square, round(-square * 0.5)) + 1);
  let s = fused(fused(SINE[0], square, SINE[1]), square, SINE[2]);
  s = fused(round(s * square), r, r);
  const [sine, cosine] = octant & 2 ? [c, s] : [s, c];
  return { sine: octant & 4 ? -sine : sine, cosine: (octant - 2) & 4 ? cosine : -cosine };
}
