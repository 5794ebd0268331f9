/* What our kernels share: ggml's tensor, and the instructions that they are made of. */
#ifndef SLED_KERNELS_H
#define SLED_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The kernels of a file are for processors that have these; sled_kernels_supported() asks. */
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")
#include <immintrin.h>

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

/* The beginning of ggml's struct, whose layout openGgml() checks. */
struct ggml_tensor {
  int32_t type;
  void *buffer;
  int64_t ne[4];
  size_t nb[4];
  int32_t op;
  int32_t op_params[16];
  int32_t flags;
  struct ggml_tensor *src[10];
  struct ggml_tensor *view_src;
  size_t view_offs;
  void *data;
};

/* 16 f16 -> f32 */
INLINE __m512 halves(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

#endif
