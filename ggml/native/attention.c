/*
 * Attention of a few queries over many cached positions, as drawing a frame needs it: softmax(q . k * scale + mask) v with keys and
 * values in float16 or in ggml's q8_0, everything else in float32. ggml's kernels for the same round queries, and sums of float16.
 *
 * q [E, T, H, R] f32, k and v [E, K, H, R] f16 or q8_0, mask [K, T, 1, 1 or R] f16 -> [E, H, T, R] f32
 */
#include "helper.h"
#include "vectors-avx512.h"

#define LONGEST 4096 /* positions; their scores lie on the stack */
#define MOST_QUERIES 64
#define TOGETHER 16 /* heads whose scores fill a vector */
#define TILE 4 /* positions whose values are added up together */
#define INFINITE 0xfc00 /* minus infinity in f16 */
#define BLOCK 34 /* bytes of 32 numbers in q8_0: what they are multiplied by, in f16, and an int8 of each */

/* Positions up to the last one that may be looked at. */
static int visible(const uint16_t *mask, int K) {
  while (K > 0 && mask[K - 1] == INFINITE) K--;
  return K;
}

/*
 * Up to sixteen neighbouring heads, G of V vectors of sixteen floats, are computed together: the keys of a position, and its values, lie
 * side by side and are read from end to end, and a score of each head is a lane of one vector.
 */

/* Lane g is the sum over x[g]. */
INLINE __m512 sums_of(const __m512 *x) {
  __m512 pairs[8], fours[4];
  UNROLL for (int i = 0; i < 8; i++)
    pairs[i] = _mm512_add_ps(_mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]));
  UNROLL for (int i = 0; i < 4; i++) {
    const __m512d a = _mm512_castps_pd(pairs[2 * i]), b = _mm512_castps_pd(pairs[2 * i + 1]);
    fours[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
#define ACROSS(a, b) _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd))
  return ACROSS(ACROSS(fours[0], fours[1]), ACROSS(fours[2], fours[3]));
}

/* How keys and values are held. */
enum numbers { HALVES, BYTES };

/* Where vector i of a position lies; of BYTES two follow the factor of their block. */
INLINE const char *place(const char *position, int i, enum numbers as) {
  return position + (as == HALVES ? 32 * i : i / 2 * BLOCK + 2 + i % 2 * 16);
}
INLINE __m512 numbers_of(const char *p, enum numbers as) {
  return as == HALVES ? halves(p) : _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
/* What vectors i and i + 1 of BYTES are multiplied by. */
INLINE __m512 factor(const char *position, int i) {
  uint16_t half;
  __builtin_memcpy(&half, position + i / 2 * BLOCK, sizeof half);
  return _mm512_cvtph_ps(_mm256_set1_epi16((short)half));
}

/* scores [K, TOGETHER] of one query, which is scaled already. */
INLINE void score(const char *k, size_t stride, const float *q, int K, int V, int G, enum numbers as, float *scores) {
  for (int t = 0; t < K; t++) {
    const char *key = k + t * stride;
    __m512 products[TOGETHER];
    UNROLL for (int g = 0; g < TOGETHER; g++) {
      products[g] = _mm512_setzero_ps();
      if (g >= G) continue;
      if (as == HALVES) {
        UNROLL for (int i = g * V; i < (g + 1) * V; i++)
          products[g] = _mm512_fmadd_ps(halves(place(key, i, as)), _mm512_load_ps(q + 16 * i), products[g]);
      } else {
        UNROLL for (int i = g * V; i < (g + 1) * V; i += 2) {
          const __m512 first = _mm512_mul_ps(numbers_of(place(key, i, as), as), _mm512_load_ps(q + 16 * i));
          const __m512 sum = _mm512_fmadd_ps(numbers_of(place(key, i + 1, as), as), _mm512_load_ps(q + 16 * i + 16), first);
          products[g] = _mm512_fmadd_ps(factor(key, i), sum, products[g]);
        }
      }
    }
    _mm512_store_ps(scores + TOGETHER * t, sums_of(products));
  }
}

/* Adds the mask and makes exp(score - largest) of the scores; their sums. */
INLINE __m512 weigh(float *scores, const uint16_t *mask, int K) {
  __m512 largest = _mm512_set1_ps(-__builtin_inff()), sum = _mm512_setzero_ps();
  for (int t = 0; t < K; t++) {
    __m512 s = _mm512_load_ps(scores + TOGETHER * t);
    if (mask) s = _mm512_add_ps(s, _mm512_set1_ps(_cvtsh_ss(mask[t])));
    _mm512_store_ps(scores + TOGETHER * t, s);
    largest = _mm512_max_ps(s, largest); /* a NaN is passed over here, and seen in its exponential */
  }
  for (int t = 0; t < K; t++) {
    const __m512 e = exponential(_mm512_sub_ps(_mm512_load_ps(scores + TOGETHER * t), largest));
    _mm512_store_ps(scores + TOGETHER * t, e);
    sum = _mm512_add_ps(sum, e);
  }
  return sum;
}

/* Adds `count` positions: the sums are in memory, a head's are read and written once for all of them. */
INLINE void add_values(const char *v, size_t stride, const float *weights, int count, int V, int G, enum numbers as, float *out) {
  for (int g = 0; g < G; g++) {
    __m512 sum[V];
    UNROLL for (int i = 0; i < V; i++) sum[i] = _mm512_load_ps(out + 16 * (g * V + i));
    UNROLL for (int t = 0; t < count; t++) {
      const char *position = v + t * stride;
      const __m512 weight = _mm512_set1_ps(weights[TOGETHER * t + g]);
      __m512 times = weight;
      UNROLL for (int i = 0; i < V; i++) {
        if (as == BYTES && i % 2 == 0) times = _mm512_mul_ps(weight, factor(position, g * V + i));
        sum[i] = _mm512_fmadd_ps(times, numbers_of(place(position, g * V + i, as), as), sum[i]);
      }
    }
    UNROLL for (int i = 0; i < V; i++) _mm512_store_ps(out + 16 * (g * V + i), sum[i]);
  }
}

/*
 * Reads positions of so many bytes from end to end. A processor fetches ahead of one such walk; of the several at once that add_values() makes
 * it loses track, and of prefetch instructions no more than a dozen or two are under way at a time.
 */
INLINE void touch(const char *v, size_t stride, int count, int bytes) {
  for (int t = 0; t < count; t++)
    for (int i = 0; i + 64 <= bytes; i += 64) {
      const __m512i line = _mm512_loadu_si512(v + t * stride + i);
      __asm__ volatile("" : : "v"(line));
    }
}

/* out [16 * V * G] = sums of values [K], each `stride` bytes after the last, times weights [K, TOGETHER]. */
INLINE void mix(const char *v, size_t stride, const float *weights, int K, int V, int G, enum numbers as, float *out) {
  for (int i = 0; i < V * G; i++) _mm512_store_ps(out + 16 * i, _mm512_setzero_ps());
  int t = 0;
  for (; t + TILE <= K; t += TILE) {
    touch(v + t * stride, stride, TILE, as == HALVES ? 32 * V * G : BLOCK / 2 * V * G);
    add_values(v + t * stride, stride, weights + TOGETHER * t, TILE, V, G, as, out);
  }
  for (; t < K; t++) add_values(v + t * stride, stride, weights + TOGETHER * t, 1, V, G, as, out);
}

typedef struct {
  const float *q;
  const char *k, *v;
  size_t k_stride, v_stride;
  const uint16_t *mask;
  int K;
  float scale;
  enum numbers as;
  float *out;
} query;

INLINE void attend(const query *a, int V, int G, enum numbers as) {
  _Alignas(64) float q[16 * V * G], out[16 * V * G], sums[TOGETHER], scores[TOGETHER * LONGEST];
  for (int i = 0; i < V * G; i++)
    _mm512_store_ps(q + 16 * i, _mm512_mul_ps(_mm512_loadu_ps(a->q + 16 * i), _mm512_set1_ps(a->scale)));
  score(a->k, a->k_stride, q, a->K, V, G, as, scores);
  _mm512_store_ps(sums, a->K ? weigh(scores, a->mask, a->K) : _mm512_set1_ps(1));
  mix(a->v, a->v_stride, scores, a->K, V, G, as, out);
  for (int i = 0; i < V * G; i++)
    _mm512_storeu_ps(a->out + 16 * i, _mm512_div_ps(_mm512_load_ps(out + 16 * i), _mm512_set1_ps(sums[i / V])));
}

/* A copy of the code for heads of 16 * V floats, and one for each kind of numbers. */
#define ATTEND(V, AS)                                                             \
  static __attribute__((noinline)) void attend_##V##_##AS(const query *a, int G) { \
    if (G == 16) attend(a, V, 16, AS);                                            \
    else if (G == 4) attend(a, V, 4, AS);                                         \
    else attend(a, V, 1, AS);                                                     \
  }
ATTEND(2, HALVES)
ATTEND(4, HALVES)
ATTEND(8, HALVES)
ATTEND(4, BYTES)

static int heads_together(int64_t H) { return H % 16 == 0 ? 16 : H % 4 == 0 ? 4 : 1; }

/*
 * Whether T queries of heads of E over K positions of a type are for this kernel, q8_0 for heads of 64 alone, which all released models
 * have; for many queries ggml's shares what it reads.
 */
EXPORT int sled_kernels_attention_fits(int type, int64_t E, int64_t T, int64_t K) {
  const int known = type == F16 ? E == 32 || E == 64 || E == 128 : type == Q8_0 && E == 64;
  return instructions_used() >= AVX512 && known && T <= MOST_QUERIES && K <= LONGEST;
}

static void attend_to(const query *a, int E, int G) {
  if (a->as == BYTES) attend_4_BYTES(a, G);
  else (E == 32 ? attend_2_HALVES : E == 64 ? attend_4_HALVES : attend_8_HALVES)(a, G);
}

/* The operation in units, each a query of G neighbouring heads, in the order of the results: heads, then queries, then rows. */
typedef struct {
  query first;
  int E, T, G, blocks;                   /* H / G */
  size_t k_block, v_block, k_row, v_row; /* bytes */
  int mask_rows;                         /* 1 or R */
} attention;

/* Unit i, whose results go to `out`; q and mask have no gaps. */
static void attend_unit(const attention *all, int64_t i, float *out) {
  query a = all->first;
  const int64_t block = i % all->blocks, t = i / all->blocks % all->T, r = i / all->blocks / all->T;
  a.q += i * all->G * all->E;
  a.k += block * all->k_block + r * all->k_row;
  a.v += block * all->v_block + r * all->v_row;
  if (a.mask) a.mask += (r % all->mask_rows * all->T + t) * a.K;
  if (a.mask) a.K = visible(a.mask, a.K);
  a.out = out;
  attend_to(&a, all->E, all->G);
}

typedef struct {
  attention all;
  int units, units_per_part;
} attention_parts;

static void attention_part(const void *of, int part, char *to, size_t stride) {
  (void)stride;
  const attention_parts *p = of;
  const int first = part * p->units_per_part, left = p->units - first;
  const int count = left < p->units_per_part ? left : p->units_per_part;
  for (int i = 0; i < count; i++) attend_unit(&p->all, first + i, (float *)to + i * p->all.G * p->all.E);
}

/* Whether it was computed together with the helper. */
static int attention_helped(struct ggml_tensor *dst, const attention *all, int units) {
  const size_t bytes = (size_t)units * all->G * all->E * sizeof(float);
  if (units < 2 || bytes > HELPED_RESULTS || !helper_room()) return 0;
  const int per_part = (units + MOST_PARTS - 1) / MOST_PARTS;
  work w = {.part = attention_part, .parts = (units + per_part - 1) / per_part, .columns = 1, .whole = bytes, .to = dst->data};
  w.run = (size_t)per_part * all->G * all->E * sizeof(float);
  *(attention_parts *)w.of = (attention_parts){*all, units, per_part};
  compute_helped(&w);
  leave_helper();
  return 1;
}

/*
 * ggml_custom_op_t. `options` is no pointer: in its low half are the bits of a float, the scale, and above whether a thread that is
 * alone may have help. Each thread has a share of the units.
 */
EXPORT void sled_kernels_attention(struct ggml_tensor *dst, int ith, int nth, void *options) {
  const struct ggml_tensor *q = dst->src[0], *k = dst->src[1], *v = dst->src[2], *mask = dst->src[3];
  const int E = (int)q->ne[0], T = (int)q->ne[1], H = (int)q->ne[2], R = (int)q->ne[3], G = heads_together(H);
  const uint32_t bits = (uint32_t)(uintptr_t)options;
  attention all = {
      .first = {q->data, k->data, v->data, k->nb[1], v->nb[1], NULL, (int)k->ne[1], 0, k->type == F16 ? HALVES : BYTES, NULL},
      .E = E, .T = T, .G = G, .blocks = H / G,
      .k_block = G * k->nb[2], .v_block = G * v->nb[2], .k_row = k->nb[3], .v_row = v->nb[3]};
  __builtin_memcpy(&all.first.scale, &bits, sizeof bits);
  if (mask) {
    all.first.mask = mask->data;
    all.mask_rows = (int)mask->ne[3];
  }
  const int units = H / G * T * R;
  if ((uintptr_t)options >> 32 && nth == 1 && attention_helped(dst, &all, units)) return;
  for (int64_t i = (int64_t)units * ith / nth; i < (int64_t)units * (ith + 1) / nth; i++)
    attend_unit(&all, i, (float *)dst->data + i * G * E);
}
