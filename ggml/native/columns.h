/* x as the kernels multiply it: int8 with a scale for each block, bf16, or as it is. */
#ifndef SLED_COLUMNS_H
#define SLED_COLUMNS_H

#include "layout.h"

/* A column of x as a kernel reads it. */
typedef struct {
  const void *values;    /* f32, bf16 or int8 */
  const float *scales;   /* a block each */
  const int32_t *sums;   /* of 32 int8; q4_K: pairs of 16-bit ones */
} column;

/* The largest magnitude of 16 * vectors floats; NaN where one is NaN or infinite, so that it is seen in the result. */
INLINE float magnitude(const float *x, int vectors) {
  __m512 most = _mm512_setzero_ps(), poison = _mm512_setzero_ps();
  for (int i = 0; i < vectors; i++) {
    __m512 v = _mm512_loadu_ps(x + 16 * i);
    most = _mm512_max_ps(most, _mm512_abs_ps(v));
    poison = _mm512_fmadd_ps(v, _mm512_setzero_ps(), poison);
  }
  return _mm512_reduce_max_ps(most) + _mm512_reduce_add_ps(poison);
}

/* 32 floats -> int8; their sum. */
INLINE int32_t to_bytes(const float *x, float inverse, int8_t *q) {
  __m512 scale = _mm512_set1_ps(inverse);
  __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), scale));
  __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16), scale));
  _mm_storeu_si128((__m128i *)q, _mm512_cvtsepi32_epi8(a));
  _mm_storeu_si128((__m128i *)(q + 16), _mm512_cvtsepi32_epi8(b));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

/* Blocks of 32: q [K], scales [K / 32], sums [K / 32]. */
INLINE void bytes_by_32(const float *x, int K, int8_t *q, float *scales, int32_t *sums) {
  for (int b = 0; b < K / 32; b++) {
    float most = magnitude(x + 32 * b, 2);
    scales[b] = most / 127;
    sums[b] = to_bytes(x + 32 * b, most > 0 ? 127 / most : 0, q + 32 * b);
  }
}

/* Blocks of 256: q [K], scales [K / 256], 16-bit sums [K / 32]. */
INLINE void bytes_by_256(const float *x, int K, int8_t *q, float *scales, int32_t *sums) {
  int16_t *sums16 = (int16_t *)sums;
  for (int b = 0; b < K / 256; b++) {
    float most = magnitude(x + 256 * b, 16);
    scales[b] = most / 127;
    for (int j = 8 * b; j < 8 * (b + 1); j++)
      sums16[j] = (int16_t)to_bytes(x + 32 * j, most > 0 ? 127 / most : 0, q + 32 * j);
  }
}

#define WITH_BF16 __attribute__((target("avx512bf16")))

WITH_BF16 static void to_bf16(const float *x, int K, uint16_t *y) {
  int k = 0;
  for (; k + 16 <= K; k += 16)
    _mm256_storeu_si256((__m256i *)(y + k), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + k)));
  if (k < K) {
    __mmask16 rest = (__mmask16)((1u << (K - k)) - 1);
    _mm256_mask_storeu_epi16(y + k, rest, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(rest, x + k)));
  }
}

/* Bytes that a column takes as its kernel reads it, in whole cache lines. */
INLINE size_t column_bytes(int type, int K) {
  size_t bytes = type == F32 ? 0 : type == BF16 ? 2 * (size_t)K : (size_t)K + (size_t)(K / 32) * 8;
  return (bytes + 63) & ~(size_t)63;
}

INLINE column read_column(int type, const float *x, int K, uint8_t *room) {
  if (type == F32) return (column){x, NULL, NULL};
  if (type == BF16) {
    to_bf16(x, K, (uint16_t *)room);
    return (column){room, NULL, NULL};
  }
  float *scales = (float *)(room + K);
  int32_t *sums = (int32_t *)(scales + K / 32);
  if (type == Q4_K) bytes_by_256(x, K, (int8_t *)room, scales, sums);
  else bytes_by_32(x, K, (int8_t *)room, scales, sums);
  return (column){room, scales, sums};
}

#endif
