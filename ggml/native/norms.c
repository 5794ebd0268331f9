/*
 * Norms of rows of float32, for AVX-512. ggml adds squares up one after the other, in double precision, a few cycles each: of a step of
 * eight rows that is a fortieth.
 */
#include "kernels.h"
#include "vectors-avx512.h"

#define SUMS 4 /* as many sums as hide the time of an addition */

/* Sum of (x - mean)^2 over n floats, n a multiple of 16. */
INLINE float squares(const float *x, int64_t n, float mean) {
  floats sums[SUMS];
  UNROLL for (int s = 0; s < SUMS; s++) sums[s] = zeros();
  for (int64_t i = 0; i < n; i += 16 * SUMS)
    UNROLL for (int s = 0; s < SUMS; s++) {
      if (i + 16 * s >= n) break;
      const floats from_mean = _mm512_sub_ps(load(x + i + 16 * s), all(mean));
      sums[s] = plus_product(sums[s], from_mean, from_mean);
    }
  return sum_of(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

INLINE float mean_of(const float *x, int64_t n) {
  floats sum = zeros();
  for (int64_t i = 0; i < n; i += 16) sum = _mm512_add_ps(sum, load(x + i));
  return sum_of(sum) / (float)n;
}

/* y = (x - mean) / sqrt(mean of its squares + epsilon), the bits of epsilon in `options`; each thread has a share of the rows. */
INLINE void normalise(struct ggml_tensor *dst, int ith, int nth, void *options, int centred) {
  const struct ggml_tensor *src = dst->src[0];
  const uint32_t bits = (uint32_t)(uintptr_t)options;
  float epsilon;
  __builtin_memcpy(&epsilon, &bits, sizeof bits);
  const int64_t n = src->ne[0], rows = src->ne[1] * src->ne[2] * src->ne[3];
  for (int64_t row = rows * ith / nth; row < rows * (ith + 1) / nth; row++) {
    const int64_t i = row % src->ne[1], j = row / src->ne[1] % src->ne[2], k = row / src->ne[1] / src->ne[2];
    const float *x = (const float *)((const char *)src->data + i * src->nb[1] + j * src->nb[2] + k * src->nb[3]);
    float *y = (float *)((char *)dst->data + i * dst->nb[1] + j * dst->nb[2] + k * dst->nb[3]);
    const float mean = centred ? mean_of(x, n) : 0;
    const float scale = 1 / __builtin_sqrtf(squares(x, n, mean) / (float)n + epsilon);
    for (int64_t c = 0; c < n; c += 16) store(y + c, times(_mm512_sub_ps(load(x + c), all(mean)), all(scale)));
  }
}

/* Whether rows of n floats are for these kernels. */
EXPORT int sled_kernels_norm_fits(int64_t n) { return instructions_used() >= AVX512 && n % 16 == 0; }

/* ggml_custom_op_t of ggml's operations of these names. */
EXPORT void sled_kernels_norm(struct ggml_tensor *dst, int ith, int nth, void *options) { normalise(dst, ith, nth, options, 1); }
EXPORT void sled_kernels_rms_norm(struct ggml_tensor *dst, int ith, int nth, void *options) { normalise(dst, ith, nth, options, 0); }
