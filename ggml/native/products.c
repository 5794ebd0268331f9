/*
 * Products of interleaved matrices (layout.h) with vectors, as an operation of ggml's graphs.
 *
 * One vector holds a word of sixteen rows, is multiplied by one word of x in all lanes, and every lane adds up a row of its own:
 * nothing is added across lanes, a word is unpacked once for all columns of x, and memory is read in order.
 */
#include "layout.h"
#include "system.h"

void product_avx2(struct ggml_tensor *dst, int ith, int nth, int helped);
void product_avx512(struct ggml_tensor *dst, int ith, int nth, int helped);

/* Whether a matrix of `rows` rows of K columns can be interleaved: whole groups of rows, whole blocks, room for a column. */
EXPORT int sled_kernels_product_fits(int type, int64_t K, int64_t rows) {
  const type_info *info = info_of(type);
  return info && rows > 0 && rows % ROWS == 0 && K > 0 && K % info->block == 0 && K <= 1 << 16 &&
         column_bytes(type, (int)K) <= SCRATCH;
}

/*
 * A thread that is woken to compute takes the processor from the one that woke it, which has more to do, though another processor may be
 * free: JavaScript then stands still for a step. A batch's threads do not.
 */
static void stand_back(void) {
  static _Thread_local int stands_back;
  if (stands_back) return;
  stands_back = 1;
  set_scheduling(BATCH);
}

/*
 * ggml_custom_op_t: dst [N, M, a, b] = interleaved w [K, N] times x [K, M, a, b]; each thread a share of the rows. In the upper
 * half of `options`: whether a thread that is alone may have help, see helper.h.
 */
EXPORT void sled_kernels_product(struct ggml_tensor *dst, int ith, int nth, void *options) {
  stand_back();
  (instructions_used() == AVX2 ? product_avx2 : product_avx512)(dst, ith, nth, (uintptr_t)options >> 32 != 0);
}
