/* Products for processors with AVX-512 and its instructions for bytes; those for bf16 where they are there. */
#include "kernels.h"
#include "vectors-avx512.h"

#include "rows.h"

#define WITH_BF16 __attribute__((target("avx512bf16")))

WITH_BF16 INLINE void rows_native_bf16(const uint8_t *w, size_t group, int G, const column *x, int K, int C, floats *out) {
  for (int k = 0; k < K / 2; k++) {
    fetch(w + 64 * k, C == 8);
    UNROLL for (int g = 0; g < G; g++) {
      const __m512bh row = (__m512bh)load_ints(w + g * group + 64 * k);
      UNROLL for (int c = 0; c < C; c++)
        out[g * C + c] = _mm512_dpbf16_ps(out[g * C + c], row, (__m512bh)word(&x[c], k));
    }
  }
}

#define PRODUCT product_avx512
#include "product.h"
