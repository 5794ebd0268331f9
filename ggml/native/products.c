/*
 * Products of interleaved matrices with vectors, as an operation of ggml's graphs: for processors with AVX-512 and its
 * instructions for bytes and bfloat16.
 *
 * Sixteen rows lie side by side, a 32-bit word of each in turn: one vector register holds a word of sixteen rows, is multiplied by
 * one word of x in all lanes, and every lane adds up a row of its own. Nothing is added across lanes, a word is unpacked once for
 * all columns of x, and memory is read in order. Packing only moves a matrix's bytes (and turns the sign bit of q8_0's), so that its
 * size stays what ggml says.
 *
 * Per sixteen rows, blocks follow each other:
 *   f32    1 column:    sixteen floats
 *   bf16   2 columns:   sixteen pairs
 *   q8_0   32 columns:  sixteen f16 scales, 8 vectors
 *   q4_0   32 columns:  sixteen f16 scales, 4 vectors of a low and a high half
 *   q4_K   256 columns: sixteen f16 scales, sixteen f16 minima's scales, 12 x 16 bytes of scales, 32 vectors
 */
#include "kernels.h"

enum type { F32 = 0, Q4_0 = 2, Q8_0 = 8, Q4_K = 12, BF16 = 30 }; /* enum ggml_type */

#define ROWS 16
/* Columns that share one unpacking of the weights. */
#define WIDEST 8
/* Room for x as the kernels read it, on the stack of the thread that computes. */
#define SCRATCH (384 * 1024)
#define MOST_COLUMNS 64

typedef struct {
  int32_t block; /* columns */
  int32_t bytes; /* of a block of one row */
} type_info;

static const type_info *info_of(int type) {
  static const type_info f32 = {1, 4}, bf16 = {2, 4}, q8_0 = {32, 34}, q4_0 = {32, 18}, q4_K = {256, 144};
  switch (type) {
    case F32: return &f32;
    case BF16: return &bf16;
    case Q8_0: return &q8_0;
    case Q4_0: return &q4_0;
    case Q4_K: return &q4_K;
    default: return NULL;
  }
}

/* A column of x as a kernel reads it. */
typedef struct {
  const void *values;    /* f32, bf16 or int8 */
  const float *scales;   /* a block each */
  const int32_t *sums;   /* of 32 int8; q4_K: pairs of 16-bit ones */
} column;

/* ---- x into bytes ---- */

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

/* ---- sixteen rows times C columns ---- */

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

/* Bytes that a column takes as its kernel reads it, in whole cache lines. */
static size_t column_bytes(int type, int K) {
  size_t bytes = type == F32 ? 0 : type == BF16 ? 2 * (size_t)K : (size_t)K + (size_t)(K / 32) * 8;
  return (bytes + 63) & ~(size_t)63;
}

static column read_column(int type, const float *x, int K, uint8_t *room) {
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

/* ---- what TypeScript calls ---- */

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

INLINE void copy(uint8_t *to, const uint8_t *from, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = from[i];
}

/* Word i of a row's `count` words becomes word ROWS * i + r. */
static void spread(uint8_t *to, const uint8_t *from, int count, int r, int size, uint8_t flip) {
  for (int i = 0; i < count; i++)
    for (int j = 0; j < size; j++) to[(ROWS * i + r) * size + j] = from[i * size + j] ^ flip;
}

/* A block of row r into the block of its sixteen rows. */
static void interleave(int type, const uint8_t *from, int r, uint8_t *to) {
  switch (type) {
    case Q8_0:
      copy(to + 2 * r, from, 2);
      spread(to + 32, from + 2, 8, r, 4, 128);
      break;
    case Q4_0:
      copy(to + 2 * r, from, 2);
      spread(to + 32, from + 2, 4, r, 4, 0);
      break;
    case Q4_K:
      copy(to + 2 * r, from, 2);
      copy(to + 32 + 2 * r, from + 2, 2);
      spread(to + 64, from + 4, 12, r, 1, 0);
      spread(to + 256, from + 16, 32, r, 4, 0);
      break;
    default: spread(to, from, 1, r, 4, 0);
  }
}

/* rows x K as ggml stores them -> interleaved. */
EXPORT void sled_kernels_pack(int type, int64_t K, int64_t rows, const uint8_t *from, uint8_t *to) {
  const type_info *info = info_of(type);
  const int64_t blocks = K / info->block, bytes = info->bytes;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t b = 0; b < blocks; b++) {
      uint8_t *group = to + (row / ROWS) * ROWS * blocks * bytes;
      interleave(type, from + (row * blocks + b) * bytes, (int)(row % ROWS), group + b * ROWS * bytes);
    }
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
