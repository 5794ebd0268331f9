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
  floats most = zeros(), poison = zeros();
  for (int i = 0; i < vectors; i++) {
    const floats v = load(x + 16 * i);
    most = magnitudes(most, v);
    poison = plus_product(poison, v, zeros());
  }
  return largest_of(most) + sum_of(poison);
}

/* 32 floats -> int8; their sum. */
INLINE int32_t block_to_bytes(const float *x, float inverse, int8_t *q) {
  const ints first = to_bytes(times(load(x), all(inverse)), q);
  return sum_of_ints(plus(first, to_bytes(times(load(x + 16), all(inverse)), q + 16)));
}

/* Blocks of 32: q [K], scales [K / 32], sums [K / 32]. */
INLINE void bytes_by_32(const float *x, int K, int8_t *q, float *scales, int32_t *sums) {
  for (int b = 0; b < K / 32; b++) {
    const float most = magnitude(x + 32 * b, 2);
    scales[b] = most / 127;
    sums[b] = block_to_bytes(x + 32 * b, most > 0 ? 127 / most : 0, q + 32 * b);
  }
}

/* Blocks of 256: q [K], scales [K / 256], 16-bit sums [K / 32]. */
INLINE void bytes_by_256(const float *x, int K, int8_t *q, float *scales, int32_t *sums) {
  int16_t *sums16 = (int16_t *)sums;
  for (int b = 0; b < K / 256; b++) {
    const float most = magnitude(x + 256 * b, 16);
    scales[b] = most / 127;
    for (int j = 8 * b; j < 8 * (b + 1); j++)
      sums16[j] = (int16_t)block_to_bytes(x + 32 * j, most > 0 ? 127 / most : 0, q + 32 * j);
  }
}

/* To the nearest, to even where two are as near; NaN stays NaN. */
INLINE void to_bf16(const float *x, int K, uint16_t *y) {
  for (int k = 0; k < K; k++) {
    uint32_t bits;
    __builtin_memcpy(&bits, x + k, sizeof bits);
    const int is_nan = (bits & 0x7fffffff) > 0x7f800000;
    y[k] = (uint16_t)(is_nan ? bits >> 16 | 64 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

/* A column of float32, or what read_column() made of one. */
INLINE column column_in(int type, int K, const uint8_t *room) {
  if (type == F32 || type == BF16) return (column){room, NULL, NULL};
  const float *scales = (const float *)(room + K);
  return (column){room, scales, (const int32_t *)(scales + K / 32)};
}

/* Makes column_bytes() of x for a type that kernels do not multiply by floats. */
INLINE void read_column(int type, const float *x, int K, uint8_t *room) {
  const column read = column_in(type, K, room);
  if (type == BF16) to_bf16(x, K, (uint16_t *)room);
  else if (type == Q4_K) bytes_by_256(x, K, (int8_t *)room, (float *)read.scales, (int32_t *)read.sums);
  else bytes_by_32(x, K, (int8_t *)room, (float *)read.scales, (int32_t *)read.sums);
}

#endif
