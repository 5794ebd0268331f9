/** Eigenvalues of a symmetric matrix in falling order, and their eigenvectors as rows. */
export interface Eigen {
  /** [n] */
  readonly values: Float64Array;
  /** [n, n], row i belongs to values[i]; the entry of largest magnitude is positive. */
  readonly vectors: Float64Array;
}

/** Off-diagonal weight, relative to the whole matrix, at which the rotations stop. */
const CONVERGED = 1e-24;
/** An entry this small beside its diagonal ones is below their rounding. */
const NEGLIGIBLE = 1e-17;
const MAX_SWEEPS = 60;

/**
 * Eigen-decomposition of a symmetric matrix [n, n] by cyclic Jacobi rotations (Golub & Van Loan, section 8.5).
 *
 * Exact to rounding and deterministic; 400 x 400 takes seconds.
 */
export function symmetricEigen(matrix: Float64Array, n: number): Eigen {
  if (matrix.length !== n * n)
    throw new RangeError(`symmetricEigen: expected [${n}, ${n}], got ${matrix.length} values`);
  const a = Float64Array.from(matrix);
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  const total = a.reduce((sum, x) => sum + x * x, 0);
  if (!Number.isFinite(total)) throw new RangeError('symmetricEigen: the matrix has entries that are not finite');
  for (let sweep = 0; offDiagonal(a, n) > CONVERGED * total; sweep++) {
    if (sweep === MAX_SWEEPS) throw new RangeError('symmetricEigen: did not converge; is the matrix symmetric?');
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  return sorted(a, v, n);
}

function offDiagonal(a: Float64Array, n: number): number {
  let sum = 0;
  for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) sum += 2 * a[p * n + q] ** 2;
  return sum;
}

/** One rotation in the plane (p, q) that zeroes a[p, q]; `a` stays symmetric, rows of `v` collect the rotations. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q];
  if (Math.abs(apq) <= NEGLIGIBLE * Math.sqrt(Math.abs(a[p * n + p] * a[q * n + q]))) return;
  const tau = (a[q * n + q] - a[p * n + p]) / (2 * apq);
  const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const vp = v[p * n + k];
    const vq = v[q * n + k];
    v[p * n + k] = c * vp - s * vq;
    v[q * n + k] = s * vp + c * vq;
    if (k === p || k === q) continue;
    const ap = a[p * n + k];
    const aq = a[q * n + k];
    a[p * n + k] = a[k * n + p] = c * ap - s * aq;
    a[q * n + k] = a[k * n + q] = s * ap + c * aq;
  }
  a[p * n + p] -= t * apq;
  a[q * n + q] += t * apq;
  a[p * n + q] = a[q * n + p] = 0;
}

function sorted(a: Float64Array, v: Float64Array, n: number): Eigen {
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j] - a[i * n + i]);
  const values = Float64Array.from(order, (i) => a[i * n + i]);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    const row = v.subarray(from * n, (from + 1) * n);
    const peak = row.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    vectors.set(
      row.map((x) => (peak < 0 ? -x : x)),
      to * n,
    );
  });
  return { values, vectors };
}
