/*
 * Products of interleaved matrices with vectors, as an operation of ggml's graphs: for processors with AVX-512 and its
 * instructions for bytes and bfloat16.
 *
 * Sixteen rows lie side by side, a 32-bit word of each in turn: one vector register holds a word of sixteen rows, is multiplied by
 * one word of x in all lanes, and every lane adds up a row of its own. Nothing is added across lanes, a word is unpacked once for
 * all columns of x, and memory is read in order.
 */
#include "columns.h"

/* Columns that share one unpacking of the weights. */
#define WIDEST 8
/* Room for x as the kernels read it, on the stack of the thread that computes. */
#define SCRATCH (384 * 1024)
#define MOST_COLUMNS 64

INLINE __m512i word(const column *x, int i) { return _mm512_set1_epi32(((const int32_t *)x->values)[i]); }

INLINE void rows_f32(const uint8_t *w, const column *x, int K, int C, __m512 *out) {
  for (int k = 0; k < K; k++) {
    __m512 row = _mm512_loadu_ps((const float *)w + ROWS * k);
    UNROLL for (int c = 0; c < C; c++)
      out[c] = _mm512_fmadd_ps(row, _mm512_set1_ps(((const float *)x[c].values)[k]), out[c]);
  }
}

WITH_BF16 INLINE void rows_bf16(const uint8_t *w, const column *x, int K, int C, __m512 *out) {
  for (int k = 0; k < K / 2; k++) {
    __m512bh row = (__m512bh)_mm512_loadu_si512(w + 64 * k);
    UNROLL for (int c = 0; c < C; c++) out[c] = _mm512_dpbf16_ps(out[c], row, (__m512bh)word(&x[c], k));
  }
}

INLINE void rows_q8_0(const uint8_t *w, const column *x, int K, int C, __m512 *out) {
  for (int b = 0; b < K / 32; b++, w += ROWS * 34) {
    __m512 scale = halves(w);
    __m512i sum[WIDEST];
    /* Bytes are stored with 128 added. */
    UNROLL for (int c = 0; c < C; c++) sum[c] = _mm512_set1_epi32(-128 * x[c].sums[b]);
    UNROLL for (int i = 0; i < 8; i++) {
      __m512i row = _mm512_loadu_si512(w + 32 + 64 * i);
      UNROLL for (int c = 0; c < C; c++) sum[c] = _mm512_dpbusd_epi32(sum[c], row, word(&x[c], 8 * b + i));
    }
    UNROLL for (int c = 0; c < C; c++)
      out[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c]), _mm512_mul_ps(scale, _mm512_set1_ps(x[c].scales[b])), out[c]);
  }
}

INLINE void rows_q4_0(const uint8_t *w, const column *x, int K, int C, __m512 *out) {
  const __m512i low = _mm512_set1_epi8(15);
  for (int b = 0; b < K / 32; b++, w += ROWS * 18) {
    __m512 scale = halves(w);
    __m512i sum[WIDEST];
    /* Halves are stored with 8 added. */
    UNROLL for (int c = 0; c < C; c++) sum[c] = _mm512_set1_epi32(-8 * x[c].sums[b]);
    UNROLL for (int i = 0; i < 4; i++) {
      __m512i row = _mm512_loadu_si512(w + 32 + 64 * i);
      __m512i first = _mm512_and_si512(row, low), second = _mm512_and_si512(_mm512_srli_epi16(row, 4), low);
      UNROLL for (int c = 0; c < C; c++) {
        sum[c] = _mm512_dpbusd_epi32(sum[c], first, word(&x[c], 8 * b + i));
        sum[c] = _mm512_dpbusd_epi32(sum[c], second, word(&x[c], 8 * b + 4 + i));
      }
    }
    UNROLL for (int c = 0; c < C; c++)
      out[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c]), _mm512_mul_ps(scale, _mm512_set1_ps(x[c].scales[b])), out[c]);
  }
}

/* 8 scales and 8 minima of 6 bits for sixteen rows, from ggml's 12 bytes: a byte of each row in turn. */
INLINE void scales_q4_K(const uint8_t *packed, uint8_t *scales, uint8_t *minima) {
  const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15), high = _mm512_set1_epi8(48);
  __m512i a = _mm512_loadu_si512(packed), b = _mm512_loadu_si512(packed + 64), c = _mm512_loadu_si512(packed + 128);
  __m512i high_a = _mm512_and_si512(_mm512_srli_epi16(a, 2), high), high_b = _mm512_and_si512(_mm512_srli_epi16(b, 2), high);
  _mm512_store_si512(scales, _mm512_and_si512(a, six));
  _mm512_store_si512(minima, _mm512_and_si512(b, six));
  _mm512_store_si512(scales + 64, _mm512_or_si512(_mm512_and_si512(c, four), high_a));
  _mm512_store_si512(minima + 64, _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(c, 4), four), high_b));
}

INLINE __m512i words(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)p)); }

/* sum over columns j of 32: scale_j * q_j . x_j  -  minimum_j * sum(x_j) */
INLINE void rows_q4_K(const uint8_t *w, const column *x, int K, int C, __m512 *out) {
  const __m512i low = _mm512_set1_epi8(15);
  for (int b = 0; b < K / 256; b++, w += ROWS * 144) {
    _Alignas(64) uint8_t scales[128], minima[128];
    scales_q4_K(w + 64, scales, minima);
    __m512i sum[WIDEST], least[WIDEST];
    UNROLL for (int c = 0; c < C; c++) sum[c] = least[c] = _mm512_setzero_si512();
    UNROLL for (int j = 0; j < 8; j += 2) {
      __m512i pair = _mm512_or_si512(words(minima + 16 * j), _mm512_slli_epi32(words(minima + 16 * j + 16), 16));
      UNROLL for (int c = 0; c < C; c++)
        least[c] = _mm512_dpwssd_epi32(least[c], pair, _mm512_set1_epi32(x[c].sums[4 * b + j / 2]));
    }
    for (int g = 0; g < 4; g++) {
      const uint8_t *quads = w + 256 + 512 * g;
      for (int half = 0; half < 2; half++) {
        __m512i part[WIDEST];
        UNROLL for (int c = 0; c < C; c++) part[c] = _mm512_setzero_si512();
        UNROLL for (int i = 0; i < 8; i++) {
          __m512i row = _mm512_loadu_si512(quads + 64 * i);
          row = _mm512_and_si512(half ? _mm512_srli_epi16(row, 4) : row, low);
          UNROLL for (int c = 0; c < C; c++)
            part[c] = _mm512_dpbusd_epi32(part[c], row, word(&x[c], 64 * b + 16 * g + 8 * half + i));
        }
        __m512i scale = words(scales + 16 * (2 * g + half));
        UNROLL for (int c = 0; c < C; c++) sum[c] = _mm512_add_epi32(sum[c], _mm512_mullo_epi32(part[c], scale));
      }
    }
    __m512 scale = halves(w), minimum = halves(w + 32);
    UNROLL for (int c = 0; c < C; c++) {
      __m512 d = _mm512_set1_ps(x[c].scales[b]);
      out[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c]), _mm512_mul_ps(scale, d), out[c]);
      out[c] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(least[c]), _mm512_mul_ps(minimum, d), out[c]);
    }
  }
}

/*
 * M columns, those of y `stride` bytes apart, eight at a time and then what is left: the code of a type is copied for each number
 * of columns, so that their sums stay in registers.
 */
#define COLUMNS(C)                                                                      \
  do {                                                                                  \
    __m512 out[C];                                                                      \
    UNROLL for (int c = 0; c < C; c++) out[c] = _mm512_setzero_ps();                    \
    ROWS_OF(w, x + m, K, C, out);                                                       \
    UNROLL for (int c = 0; c < C; c++) _mm512_storeu_ps((void *)(y + (m + c) * stride), out[c]); \
    m += C;                                                                             \
  } while (0)
#define ALL_COLUMNS                                                                     \
  {                                                                                     \
    int m = 0;                                                                          \
    while (M - m >= 8) COLUMNS(8);                                                      \
    if (M - m >= 4) COLUMNS(4);                                                         \
    if (M - m == 3) COLUMNS(3);                                                         \
    if (M - m == 2) COLUMNS(2);                                                         \
    if (M - m == 1) COLUMNS(1);                                                         \
  }
#define PARAMETERS const uint8_t *w, const column *x, int K, int M, char *y, size_t stride
#define ROWS_OF rows_f32
static void columns_f32(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#define ROWS_OF rows_bf16
WITH_BF16 static void columns_bf16(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#define ROWS_OF rows_q8_0
static void columns_q8_0(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#define ROWS_OF rows_q4_0
static void columns_q4_0(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#define ROWS_OF rows_q4_K
static void columns_q4_K(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF

typedef void (*columns_kernel)(PARAMETERS);

static columns_kernel kernel_of(int type) {
  switch (type) {
    case F32: return columns_f32;
    case BF16: return columns_bf16;
    case Q8_0: return columns_q8_0;
    case Q4_0: return columns_q4_0;
    default: return columns_q4_K;
  }
}

/* Only where bf16 is asked for: Ice Lake and Tiger Lake do without. */
static int has_bf16(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
}

/* Whether a matrix of `rows` rows of K columns can be interleaved: whole groups of rows, whole blocks, room for a column. */
EXPORT int sled_kernels_product_fits(int type, int64_t K, int64_t rows) {
  const type_info *info = info_of(type);
  if (type == BF16 && !has_bf16()) return 0;
  return info && rows > 0 && rows % ROWS == 0 && K > 0 && K % info->block == 0 && K <= 1 << 16 &&
         column_bytes(type, (int)K) <= SCRATCH;
}

/* ggml_custom_op_t: dst [N, M, a, b] = interleaved w [K, N] times x [K, M, a, b]; each thread a share of the rows. */
EXPORT void sled_kernels_product(struct ggml_tensor *dst, int ith, int nth, void *unused) {
  (void)unused;
  const struct ggml_tensor *w = dst->src[0], *x = dst->src[1];
  const int type = w->type, K = (int)w->ne[0];
  const int64_t groups = w->ne[1] / ROWS, first = groups * ith / nth, end = groups * (ith + 1) / nth;
  if (first == end) return;
  const type_info *info = info_of(type);
  const size_t group_bytes = (size_t)(K / info->block) * info->bytes * ROWS, room = column_bytes(type, K);
  const columns_kernel kernel = kernel_of(type);
  const int64_t M = x->ne[1];
  int most = room ? (int)(SCRATCH / room) : MOST_COLUMNS;
  if (most > MOST_COLUMNS) most = MOST_COLUMNS;
  _Alignas(64) uint8_t scratch[SCRATCH];
  column columns[MOST_COLUMNS];
  for (int64_t b = 0; b < x->ne[3]; b++)
    for (int64_t a = 0; a < x->ne[2]; a++) {
      const char *from = (const char *)x->data + a * x->nb[2] + b * x->nb[3];
      char *to = (char *)dst->data + a * dst->nb[2] + b * dst->nb[3];
      for (int64_t m = 0; m < M; m += most) {
        const int count = M - m < most ? (int)(M - m) : most;
        for (int c = 0; c < count; c++)
          columns[c] = read_column(type, (const float *)(from + (m + c) * x->nb[1]), K, scratch + c * room);
        for (int64_t g = first; g < end; g++)
          kernel((const uint8_t *)w->data + g * group_bytes, columns, K, count,
                 to + m * dst->nb[1] + g * ROWS * sizeof(float), dst->nb[1]);
      }
    }
}
