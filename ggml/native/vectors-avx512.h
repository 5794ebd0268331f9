/* Sixteen lanes, one for each row: AVX-512. */
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")
#include <immintrin.h>

#define WIDEST 8 /* columns whose sums fit into the registers */

typedef __m512 floats;
typedef __m512i ints;

INLINE floats zeros(void) { return _mm512_setzero_ps(); }
INLINE floats all(float x) { return _mm512_set1_ps(x); }
INLINE floats load(const void *p) { return _mm512_loadu_ps(p); }
INLINE void store(void *p, floats x) { _mm512_storeu_ps(p, x); }
INLINE floats halves(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); } /* 16 f16 */
INLINE floats times(floats a, floats b) { return _mm512_mul_ps(a, b); }
INLINE floats plus_product(floats sum, floats a, floats b) { return _mm512_fmadd_ps(a, b, sum); }
INLINE floats minus_product(floats sum, floats a, floats b) { return _mm512_fnmadd_ps(a, b, sum); }
INLINE floats to_floats(ints x) { return _mm512_cvtepi32_ps(x); }
INLINE floats as_floats(ints x) { return _mm512_castsi512_ps(x); } /* the same bits */
INLINE floats magnitudes(floats most, floats x) { return _mm512_max_ps(most, _mm512_abs_ps(x)); }
INLINE float largest_of(floats x) { return _mm512_reduce_max_ps(x); }
INLINE float sum_of(floats x) { return _mm512_reduce_add_ps(x); }

INLINE ints no_ints(void) { return _mm512_setzero_si512(); }
INLINE ints all_ints(int32_t x) { return _mm512_set1_epi32(x); }
INLINE ints load_ints(const void *p) { return _mm512_loadu_si512(p); }
INLINE void store_ints(void *p, ints x) { _mm512_storeu_si512(p, x); }
INLINE ints both(ints a, ints b) { return _mm512_and_si512(a, b); }
INLINE ints either(ints a, ints b) { return _mm512_or_si512(a, b); }
INLINE ints plus(ints a, ints b) { return _mm512_add_epi32(a, b); }
INLINE ints product(ints a, ints b) { return _mm512_mullo_epi32(a, b); }
INLINE ints shifted_right(ints x, int bits) { return _mm512_srli_epi16(x, bits); } /* 16 bits each */
INLINE ints shifted_left(ints x) { return _mm512_slli_epi32(x, 16); }
INLINE ints from_bytes(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }

/* sum + a pair of 16-bit numbers times another */
INLINE ints plus_pairs(ints sum, ints a, ints b) { return _mm512_dpwssd_epi32(sum, a, b); }

/* Sums of products of 0..15 with int8, of at most eight words. */
typedef ints quads_sum;
INLINE quads_sum no_quads(void) { return no_ints(); }
INLINE quads_sum plus_quads(quads_sum sum, ints w, ints x) { return _mm512_dpbusd_epi32(sum, w, x); }
INLINE ints total_quads(quads_sum sum) { return sum; }

/* Sums of products of int8, stored with 128 added, with int8 whose sum is known. */
INLINE ints begin_bytes(int32_t sum_of_x) { return all_ints(-128 * sum_of_x); }
INLINE ints plus_bytes(ints sum, ints w, ints x) { return _mm512_dpbusd_epi32(sum, w, x); }

/* 16 floats -> int8 at q; their sum in each lane's part. */
INLINE ints to_bytes(floats x, int8_t *q) {
  const ints rounded = _mm512_cvtps_epi32(x);
  _mm_storeu_si128((__m128i *)q, _mm512_cvtsepi32_epi8(rounded));
  return rounded;
}
INLINE int32_t sum_of_ints(ints x) { return _mm512_reduce_add_epi32(x); }

/* exp(x) for x <= 0: 2^n times a polynomial of the rest, within 2e-7 of the value; 0 of minus infinity, NaN of NaN. */
INLINE __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-110), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(_mm512_mul_ps(p, r), r, _mm512_add_ps(r, _mm512_set1_ps(1)));
  return _mm512_scalef_ps(p, n);
}
