/* Sixteen lanes, one for each row, in two registers: AVX2. */
#pragma GCC target("avx2,fma,f16c")
#include <immintrin.h>

#define WIDEST 2 /* columns whose sums fit into the registers */

typedef struct {
  __m256 a, b;
} floats;
typedef struct {
  __m256i a, b;
} ints;

#define FLOATS(f, x) ((floats){f(x.a), f(x.b)})
#define FLOATS_2(f, x, y) ((floats){f(x.a, y.a), f(x.b, y.b)})
#define FLOATS_3(f, x, y, z) ((floats){f(x.a, y.a, z.a), f(x.b, y.b, z.b)})
#define INTS_2(f, x, y) ((ints){f(x.a, y.a), f(x.b, y.b)})

INLINE floats zeros(void) { return (floats){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
INLINE floats all(float x) { return (floats){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE floats load(const void *p) { return (floats){_mm256_loadu_ps(p), _mm256_loadu_ps((const float *)p + 8)}; }
INLINE void store(void *p, floats x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps((float *)p + 8, x.b);
}
INLINE floats halves(const void *p) { /* 16 f16 */
  return (floats){_mm256_cvtph_ps(_mm_loadu_si128(p)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1))};
}
INLINE floats times(floats x, floats y) { return FLOATS_2(_mm256_mul_ps, x, y); }
INLINE floats plus_product(floats sum, floats x, floats y) { return FLOATS_3(_mm256_fmadd_ps, x, y, sum); }
INLINE floats minus_product(floats sum, floats x, floats y) { return FLOATS_3(_mm256_fnmadd_ps, x, y, sum); }
INLINE floats to_floats(ints x) { return (floats){_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
INLINE floats as_floats(ints x) { /* the same bits */
  return (floats){_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)};
}
INLINE floats magnitudes(floats most, floats x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return (floats){_mm256_max_ps(most.a, _mm256_andnot_ps(sign, x.a)), _mm256_max_ps(most.b, _mm256_andnot_ps(sign, x.b))};
}
INLINE float largest_of(floats x) {
  const __m256 eight = _mm256_max_ps(x.a, x.b);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
INLINE float sum_of(floats x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

INLINE ints no_ints(void) { return (ints){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE ints all_ints(int32_t x) { return (ints){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
INLINE ints load_ints(const void *p) {
  return (ints){_mm256_loadu_si256(p), _mm256_loadu_si256((const __m256i *)p + 1)};
}
INLINE void store_ints(void *p, ints x) {
  _mm256_storeu_si256(p, x.a);
  _mm256_storeu_si256((__m256i *)p + 1, x.b);
}
INLINE ints both(ints x, ints y) { return INTS_2(_mm256_and_si256, x, y); }
INLINE ints either(ints x, ints y) { return INTS_2(_mm256_or_si256, x, y); }
INLINE ints plus(ints x, ints y) { return INTS_2(_mm256_add_epi32, x, y); }
INLINE ints product(ints x, ints y) { return INTS_2(_mm256_mullo_epi32, x, y); }
INLINE ints shifted_right(ints x, int bits) { /* 16 bits each */
  return (ints){_mm256_srli_epi16(x.a, bits), _mm256_srli_epi16(x.b, bits)};
}
INLINE ints shifted_left(ints x) { return (ints){_mm256_slli_epi32(x.a, 16), _mm256_slli_epi32(x.b, 16)}; }
INLINE ints from_bytes(const uint8_t *p) {
  return (ints){_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)))};
}

/* sum + a pair of 16-bit numbers times another */
INLINE ints plus_pairs(ints sum, ints x, ints y) { return plus(sum, INTS_2(_mm256_madd_epi16, x, y)); }

/* Sums of products of 0..15 with int8, of at most eight words: they stay below 2 * 8 * 15 * 128 in 16 bits. */
typedef ints quads_sum;
INLINE quads_sum no_quads(void) { return no_ints(); }
INLINE quads_sum plus_quads(quads_sum sum, ints w, ints x) {
  return (ints){_mm256_add_epi16(sum.a, _mm256_maddubs_epi16(w.a, x.a)), _mm256_add_epi16(sum.b, _mm256_maddubs_epi16(w.b, x.b))};
}
INLINE ints total_quads(quads_sum sum) {
  const __m256i ones = _mm256_set1_epi16(1);
  return (ints){_mm256_madd_epi16(sum.a, ones), _mm256_madd_epi16(sum.b, ones)};
}

/* Sums of products of int8, stored with 128 added, with int8: magnitudes times x with the signs, two of which fit into 16 bits. */
INLINE ints begin_bytes(int32_t sum_of_x) {
  (void)sum_of_x;
  return no_ints();
}
INLINE __m256i bytes_product(__m256i stored, __m256i x) {
  const __m256i w = _mm256_xor_si256(stored, _mm256_set1_epi8(-128));
  return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)), _mm256_set1_epi16(1));
}
INLINE ints plus_bytes(ints sum, ints w, ints x) { return plus(sum, INTS_2(bytes_product, w, x)); }

/* 16 floats -> int8 at q; their sum in each lane's part. */
INLINE ints to_bytes(floats x, int8_t *q) {
  const ints rounded = {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(rounded.a, rounded.b), 0xd8);
  _mm_storeu_si128((__m128i *)q, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  return rounded;
}
INLINE int32_t sum_of_ints(ints x) {
  const __m256i eight = _mm256_add_epi32(x.a, x.b);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
