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
#define ROWS_OF(w, x, K, C, out) rows_f32(w, 0, 1, x, K, C, out)
static void columns_f32(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#define ROWS_OF(w, x, K, C, out) rows_bf16(w, 0, 1, x, K, C, out)
static void columns_bf16(PARAMETERS) ALL_COLUMNS
#undef ROWS_OF
#ifdef WITH_BF16
#define ROWS_OF(w, x, K, C, out) rows_native_bf16(w, 0, 1, x, K, C, out)
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

/*
 * GROUPS groups of rows of floats times one column: for matrices that a processor's cache may hold, as a recurrence has them. Memory is
 * read 3 % faster in one walk.
 */
#define GROUPS 4
#define CACHED (4 << 20) /* bytes */
#define ONE_COLUMN(ROWS_OF)                                                                                    \
  {                                                                                                            \
    floats out[GROUPS];                                                                                        \
    UNROLL for (int g = 0; g < GROUPS; g++) out[g] = zeros();                                                  \
    ROWS_OF(w, group, GROUPS, x, K, 1, out);                                                                   \
    UNROLL for (int g = 0; g < GROUPS; g++) store(y + g * ROWS * sizeof(float), out[g]);                       \
  }
#define ONE_PARAMETERS const uint8_t *w, size_t group, const column *x, int K, char *y
static void column_f32(ONE_PARAMETERS) ONE_COLUMN(rows_f32)
static void column_bf16(ONE_PARAMETERS) ONE_COLUMN(rows_bf16)
#ifdef WITH_BF16
WITH_BF16 static void column_native_bf16(ONE_PARAMETERS) ONE_COLUMN(rows_native_bf16)
#else
#define column_native_bf16 column_bf16
#endif

typedef void (*column_kernel)(ONE_PARAMETERS);

typedef struct {
  columns_kernel columns;
  column_kernel one; /* NULL where one column keeps a processor busy with a group */
} kernels;

static kernels kernels_of(int type) {
  const int native = instructions_used() == AVX512_BF16;
  switch (type) {
    case F32: return (kernels){columns_f32, column_f32};
    case BF16: return (kernels){native ? columns_native_bf16 : columns_bf16, native ? column_native_bf16 : column_bf16};
    case Q8_0: return (kernels){columns_q8_0, NULL};
    case Q4_0: return (kernels){columns_q4_0, NULL};
    default: return (kernels){columns_q4_K, NULL};
  }
}

/* A product in parts of some groups of rows each, see helper.h. */
typedef struct {
  kernels kernels;
  const uint8_t *w, *columns; /* one after the other as column_in() finds them, `column_bytes` apart */
  size_t group_bytes, column_bytes;
  int type, K, M, groups, groups_per_part;
} product_parts;

static void product_part(const void *of, int i, char *to, size_t stride) {
  const product_parts *p = of;
  const int first = i * p->groups_per_part, left = p->groups - first;
  const int count = left < p->groups_per_part ? left : p->groups_per_part;
  column columns[MOST_COLUMNS];
  for (int c = 0; c < p->M; c++) columns[c] = column_in(p->type, p->K, p->columns + c * p->column_bytes);
  const uint8_t *w = p->w + first * p->group_bytes;
  const size_t rows = ROWS * sizeof(float);
  int g = 0;
  if (p->M == 1 && p->kernels.one)
    for (; g + GROUPS <= count; g += GROUPS)
      p->kernels.one(w + g * p->group_bytes, p->group_bytes, columns, p->K, to + g * rows);
  for (; g < count; g++) p->kernels.columns(w + g * p->group_bytes, columns, p->K, p->M, to + g * rows, stride);
}

static void product_helped(const product_parts *p, char *to, size_t stride) {
  const size_t group = ROWS * sizeof(float), run = p->groups_per_part * group;
  work all = {product_part, (p->groups + p->groups_per_part - 1) / p->groups_per_part, p->M, run, p->groups * group, to, stride, {0}};
  *(product_parts *)all.of = *p;
  compute_helped(&all);
}

/* The helper's room where a matrix of so many groups is worth its help and it has time; NULL else. */
static uint8_t *room_for(int64_t groups, size_t group_bytes) {
  const int worth = groups * group_bytes >= 2 * HELPED_PART && groups * ROWS * sizeof(float) <= HELPED_RESULTS;
  return worth ? helper_room() : NULL;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/*
 * dst [N, M, a, b] = interleaved w [K, N] times x [K, M, a, b]. Each thread has a share of the rows; one that is alone shares them with
 * the helper where that is wanted.
 */
void PRODUCT(struct ggml_tensor *dst, int ith, int nth, int helped) {
  const struct ggml_tensor *w = dst->src[0], *x = dst->src[1];
  const int type = w->type, K = (int)w->ne[0];
  const int64_t all = w->ne[1] / ROWS, first = all * ith / nth, groups = all * (ith + 1) / nth - first, M = x->ne[1];
  if (groups == 0) return;
  const type_info *info = info_of(type);
  const size_t group_bytes = (size_t)(K / info->block) * info->bytes * ROWS, read = column_bytes(type, K);
  _Alignas(64) uint8_t own[SCRATCH];
  uint8_t *room = helped && nth == 1 ? room_for(groups, group_bytes) : NULL, *scratch = room ? room : own;
  const int64_t parts = room ? smaller(groups * group_bytes / HELPED_PART, MOST_PARTS) : 1, per_part = (groups + parts - 1) / parts;
  int64_t most = smaller(MOST_COLUMNS, read ? SCRATCH / read : MOST_COLUMNS);
  if (room) most = smaller(most, HELPED_RESULTS / (groups * ROWS * sizeof(float)));
  product_parts p = {kernels_of(type), (const uint8_t *)w->data + first * group_bytes, scratch, group_bytes,
                     read ? read : x->nb[1], type, K, 0, (int)groups, (int)per_part};
  if (all * group_bytes > CACHED) p.kernels.one = NULL;
  for (int64_t b = 0; b < x->ne[3]; b++)
    for (int64_t a = 0; a < x->ne[2]; a++)
      for (int64_t m = 0; m < M; m += most) {
        const uint8_t *from = (const uint8_t *)x->data + m * x->nb[1] + a * x->nb[2] + b * x->nb[3];
        char *to = (char *)dst->data + first * ROWS * sizeof(float) + m * dst->nb[1] + a * dst->nb[2] + b * dst->nb[3];
        p.M = (int)smaller(most, M - m);
        if (read) for (int c = 0; c < p.M; c++) read_column(type, (const float *)(from + c * x->nb[1]), K, scratch + c * read);
        else p.columns = from;
        if (room) product_helped(&p, to, dst->nb[1]);
        else product_part(&p, 0, to, dst->nb[1]);
      }
  if (room) leave_helper();
}
