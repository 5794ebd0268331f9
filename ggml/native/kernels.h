/* What our kernels share: ggml's tensor, and which instructions there are. */
#ifndef SLED_KERNELS_H
#define SLED_KERNELS_H

#include <stddef.h>
#include <stdint.h>

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

/* Instructions that kernels are written for; each has those before it. */
enum instructions { NONE, AVX2, AVX512, AVX512_BF16 };

/* Those that this processor has and that are allowed, see sled_kernels_supported(). */
enum instructions instructions_used(void);

#endif
