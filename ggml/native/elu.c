/*
 * ELU, x above zero and else exp(x) - 1, for AVX-512. ggml calls the C library for each number: 3.4 ns.
 */
#include "kernels.h"
#include "vectors-avx512.h"

/* Lanes `wanted` of 16 floats, within 2e-7. Of NaN it is NaN. */
INLINE void elu_of(const float *x, float *y, __mmask16 wanted) {
  const floats from = _mm512_maskz_loadu_ps(wanted, x);
  const floats below = _mm512_sub_ps(exponential(_mm512_min_ps(zeros(), from)), all(1));
  _mm512_mask_storeu_ps(y, wanted, _mm512_mask_mov_ps(below, _mm512_cmp_ps_mask(from, zeros(), _CMP_GT_OQ), from));
}

/* ggml_custom_op_t of an operand without gaps; each thread has a share of its vectors. */
EXPORT void sled_kernels_elu(struct ggml_tensor *dst, int ith, int nth, void *options) {
  (void)options;
  const float *x = dst->src[0]->data;
  float *y = dst->data;
  const int64_t n = dst->ne[0] * dst->ne[1] * dst->ne[2] * dst->ne[3], vectors = (n + 15) / 16;
  for (int64_t i = vectors * ith / nth; i < vectors * (ith + 1) / nth; i++) {
    const int64_t left = n - 16 * i;
    elu_of(x + 16 * i, y + 16 * i, left < 16 ? (__mmask16)((1u << left) - 1) : 0xffff);
  }
}
