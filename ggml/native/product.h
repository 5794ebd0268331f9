/* A whole product, for vectors of either kind: PRODUCT is its name. */
#include "helper.h"
#include "rows.h"

#define MOST_COLUMNS 64 /* of x that are read at a time */
#define HELPED_PART (64 * 1024) /* bytes of a matrix, below which a part is not worth it */

/*
 * M columns, those of y `stride` bytes apart, WIDEST at a time and then what is left: the code of a type is copied for each number
 * of columns, so that their sums stay in registers.
 */
#define COLUMNS(C)                                                                    \
  do {                                                                                \
    floats out[C];                                                                    \
    UNROLL for (int c = 0; c < C; c++) out[c] = zeros();                              \
    ROWS_OF(w, x + m, K, C, out);                                                     \
    UNROLL for (int c = 0; c < C; c++) store(y + (m + c) * stride, out[c]);           \
    m += C;                                                                           \
  } while (0)
#if WIDEST == 8
#define REST                                                                          \
  if (M - m >= 4) COLUMNS(4);                                                         \
  if (M - m == 3) COLUMNS(3);                                                         \
  if (M - m == 2) COLUMNS(2);
#else
#define REST
#endif
#define ALL_COLUMNS                                                                   \
  {                                                                                   \
    int m = 0;                                                                        \
    while (M - m >= WIDEST) COLUMNS(WIDEST);                                          \
    REST                                                                              \
    if (M - m == 1) COLUMNS(1);                                                       \
  }
#define PARAMETERS const uint8_t *w, const column *x, int K, int M, char *y, size_t stride
#define ROWS_OF rows_f32
static void columns_f32(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#define ROWS_OF rows_bf16
static void columns_bf16(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#ifdef WITH_BF16
#define ROWS_OF rows_native_bf16
WITH_BF16 static void columns_native_bf16(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#else
#define columns_native_bf16 columns_bf16
#endif
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
    case BF16: return instructions_used() == AVX512_BF16 ? columns_native_bf16 : columns_bf16;
    case Q8_0: return columns_q8_0;
    case Q4_0: return columns_q4_0;
    default: return columns_q4_K;
  }
}

/* A product in parts, see helper.h. */
typedef struct {
  columns_kernel kernel;
  const uint8_t *w, *columns; /* one after the other as read_column() gives them, `column_bytes` apart */
  size_t group_bytes, column_bytes;
  int type, K, M, groups, groups_per_part;
} product_parts;

static void product_part(const void *of, int i, char *to, size_t stride) {
  const product_parts *p = of;
  const int first = i * p->groups_per_part, left = p->groups - first;
  const int count = left < p->groups_per_part ? left : p->groups_per_part;
  column columns[MOST_COLUMNS];
  for (int c = 0; c < p->M; c++) columns[c] = column_in(p->type, p->K, p->columns + c * p->column_bytes);
  for (int g = 0; g < count; g++)
    p->kernel(p->w + (first + g) * p->group_bytes, columns, p->K, p->M, to + g * ROWS * sizeof(float), stride);
}

/* Whether a product was computed together with the helper; float32 columns are read where they are. */
static int product_helped(struct ggml_tensor *dst, size_t group_bytes) {
  const struct ggml_tensor *w = dst->src[0], *x = dst->src[1];
  const int type = w->type, K = (int)w->ne[0], groups = (int)(w->ne[1] / ROWS);
  const size_t bytes = groups * group_bytes, whole = w->ne[1] * sizeof(float);
  if (bytes < 2 * HELPED_PART || x->ne[2] * x->ne[3] != 1) return 0;
  const size_t one = column_bytes(type, K);
  const int most = bytes / HELPED_PART < MOST_PARTS ? (int)(bytes / HELPED_PART) : MOST_PARTS;
  const int per_part = (groups + most - 1) / most, parts = (groups + per_part - 1) / per_part;
  const size_t run = per_part * ROWS * sizeof(float);
  const int64_t read = one ? HELPED_SCRATCH / one : MOST_COLUMNS, written = HELPED_RESULTS / (parts * run);
  const int64_t fit = read < written ? read : written, at_once = fit < MOST_COLUMNS ? fit : MOST_COLUMNS;
  uint8_t *room = at_once > 0 ? helper_room() : NULL;
  if (!room) return 0;
  for (int64_t m = 0; m < x->ne[1]; m += at_once) {
    const int64_t left = x->ne[1] - m;
    const int M = (int)(left < at_once ? left : at_once);
    const uint8_t *from = (const uint8_t *)x->data + m * x->nb[1];
    for (int c = 0; c < M && one; c++) read_column(type, (const float *)(from + c * x->nb[1]), K, room + c * one);
    work all = {product_part, parts, M, run, whole, (char *)dst->data + m * dst->nb[1], dst->nb[1], {0}};
    *(product_parts *)all.of = (product_parts){
        kernel_of(type), w->data, one ? room : from, group_bytes, one ? one : x->nb[1], type, K, M, groups, per_part};
    compute_helped(&all);
  }
  leave_helper();
  return 1;
}

/* dst [N, M, a, b] = interleaved w [K, N] times x [K, M, a, b]; each thread a share of the rows. */
void PRODUCT(struct ggml_tensor *dst, int ith, int nth, int helped) {
  const struct ggml_tensor *w = dst->src[0], *x = dst->src[1];
  const int type = w->type, K = (int)w->ne[0];
  const int64_t groups = w->ne[1] / ROWS, first = groups * ith / nth, end = groups * (ith + 1) / nth;
  if (first == end) return;
  const type_info *info = info_of(type);
  const size_t group_bytes = (size_t)(K / info->block) * info->bytes * ROWS, room = column_bytes(type, K);
  if (helped && nth == 1 && product_helped(dst, group_bytes)) return;
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
