/*
 * Attention of a few queries over many cached positions, as drawing a frame needs it: softmax(q . k * scale + mask) v with keys and
 * values in float16, everything else in float32. ggml's kernel for the same rounds queries and sums to float16.
 *
 * q [E, T, H, R] f32, k and v [E, K, H, R] f16, mask [K, T, 1, 1 or R] f16 -> [E, H, T, R] f32
 */
#include "helper.h"
#include "vectors-avx512.h"

#define LONGEST 4096 /* positions; their scores lie on the stack */
#define MOST_QUERIES 8
#define TOGETHER 16 /* heads whose scores fill a vector */
#define TILE 4 /* positions whose values are added up together */
#define INFINITE 0xfc00 /* minus infinity in f16 */

/* exp(x) for x <= 0: 2^n times a polynomial of the rest, within 2e-7 of the value; 0 of minus infinity, NaN of NaN. */
INLINE __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-110), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(_mm512_mul_ps(p, r), r, _mm512_add_ps(r, _mm512_set1_ps(1)));
  return _mm512_scalef_ps(p, n);
}

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

/* scores [K, TOGETHER] of one query, which is scaled already. */
INLINE void score(const char *k, size_t stride, const float *q, int K, int V, int G, float *scores) {
  for (int t = 0; t < K; t++) {
    const char *key = k + t * stride;
    __m512 products[TOGETHER];
    UNROLL for (int g = 0; g < TOGETHER; g++) {
      products[g] = _mm512_setzero_ps();
      if (g >= G) continue;
      UNROLL for (int i = g * V; i < (g + 1) * V; i++)
        products[g] = _mm512_fmadd_ps(halves(key + 32 * i), _mm512_load_ps(q + 16 * i), products[g]);
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
INLINE void add_values(const char *v, size_t stride, const float *weights, int count, int V, int G, float *out) {
  for (int g = 0; g < G; g++) {
    __m512 sum[V];
    UNROLL for (int i = 0; i < V; i++) sum[i] = _mm512_load_ps(out + 16 * (g * V + i));
    UNROLL for (int t = 0; t < count; t++) {
      const __m512 weight = _mm512_set1_ps(weights[TOGETHER * t + g]);
      UNROLL for (int i = 0; i < V; i++) sum[i] = _mm512_fmadd_ps(weight, halves(v + t * stride + 32 * (g * V + i)), sum[i]);
    }
    UNROLL for (int i = 0; i < V; i++) _mm512_store_ps(out + 16 * (g * V + i), sum[i]);
  }
}

/*
 * Reads positions of n vectors from end to end. A processor fetches ahead of one such walk; of the several at once that add_values() makes
 * it loses track, and of prefetch instructions no more than a dozen or two are under way at a time.
 */
INLINE void touch(const char *v, size_t stride, int count, int n) {
  for (int t = 0; t < count; t++)
    for (int i = 0; i < n; i += 2) {
      const __m512i line = _mm512_loadu_si512(v + t * stride + 32 * i);
      __asm__ volatile("" : : "v"(line));
    }
}

/* out [16 * V * G] = sums of values [K], each `stride` bytes after the last, times weights [K, TOGETHER]. */
INLINE void mix(const char *v, size_t stride, const float *weights, int K, int V, int G, float *out) {
  for (int i = 0; i < V * G; i++) _mm512_store_ps(out + 16 * i, _mm512_setzero_ps());
  int t = 0;
  for (; t + TILE <= K; t += TILE) {
    touch(v + t * stride, stride, TILE, V * G);
    add_values(v + t * stride, stride, weights + TOGETHER * t, TILE, V, G, out);
  }
  for (; t < K; t++) add_values(v + t * stride, stride, weights + TOGETHER * t, 1, V, G, out);
}

typedef struct {
  const float *q;
  const char *k, *v;
  size_t k_stride, v_stride;
  const uint16_t *mask;
  int K;
  float scale;
  float *out;
} query;

INLINE void attend(const query *a, int V, int G) {
  _Alignas(64) float q[16 * V * G], out[16 * V * G], sums[TOGETHER], scores[TOGETHER * LONGEST];
  for (int i = 0; i < V * G; i++)
    _mm512_store_ps(q + 16 * i, _mm512_mul_ps(_mm512_loadu_ps(a->q + 16 * i), _mm512_set1_ps(a->scale)));
  score(a->k, a->k_stride, q, a->K, V, G, scores);
  _mm512_store_ps(sums, a->K ? weigh(scores, a->mask, a->K) : _mm512_set1_ps(1));
  mix(a->v, a->v_stride, scores, a->K, V, G, out);
  for (int i = 0; i < V * G; i++)
    _mm512_storeu_ps(a->out + 16 * i, _mm512_div_ps(_mm512_load_ps(out + 16 * i), _mm512_set1_ps(sums[i / V])));
}

/* A copy of the code for heads of 16 * V floats. */
#define ATTEND(V)                                              \
  static __attribute__((noinline)) void attend_##V(const query *a, int G) { \
    if (G == 16) attend(a, V, 16);                             \
    else if (G == 4) attend(a, V, 4);                          \
    else attend(a, V, 1);                                      \
  }
ATTEND(2)
ATTEND(4)
ATTEND(8)

static int heads_together(int64_t H) { return H % 16 == 0 ? 16 : H % 4 == 0 ? 4 : 1; }

/* Whether T queries of heads of E over K positions are for this kernel; for many queries ggml's shares what it reads. */
EXPORT int sled_kernels_attention_fits(int64_t E, int64_t T, int64_t K) {
  return instructions_used() >= AVX512 && (E == 32 || E == 64 || E == 128) && T <= MOST_QUERIES && K <= LONGEST;
}

/* One query of every head. */
typedef struct {
  query first; /* of the first part */
  int E, G;
  int parts_per_row; /* H / G */
  size_t k_part, v_part, k_row, v_row, mask_row;
} attention_parts;

static void attend_to(const query *a, int E, int G) { (E == 32 ? attend_2 : E == 64 ? attend_4 : attend_8)(a, G); }

/* Neighbouring heads of one row. */
static void attention_part(const void *of, int i, char *to, size_t stride) {
  (void)stride;
  const attention_parts *p = of;
  const int h = i % p->parts_per_row, r = i / p->parts_per_row;
  query a = p->first;
  a.q += (size_t)i * p->G * p->E;
  a.k += h * p->k_part + r * p->k_row;
  a.v += h * p->v_part + r * p->v_row;
  if (a.mask) a.mask += r * p->mask_row;
  if (a.mask) a.K = visible(a.mask, a.K);
  a.out = (float *)to;
  attend_to(&a, p->E, p->G);
}

/* What `parts` of two bytes need not keep of a graph's memory, which may be gone when the helper still reads it. */
INLINE void copy_shorts(uint16_t *to, const void *from, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = ((const uint16_t *)from)[i];
}

/* Whether one query of each row was computed together with the helper, a part for some heads of a row. */
static int attention_helped(struct ggml_tensor *dst, query a, int G) {
  const struct ggml_tensor *q = dst->src[0], *k = dst->src[1], *v = dst->src[2], *mask = dst->src[3];
  const int E = (int)q->ne[0], H = (int)q->ne[2], R = (int)q->ne[3], K = (int)k->ne[1], parts = H / G * R;
  const int masks = mask ? (int)mask->ne[3] : 0;
  const size_t queries = (size_t)R * H * E * sizeof(float);
  if (q->ne[1] != 1 || q->nb[3] != H * E * sizeof(float) || parts < 2 || parts > MOST_PARTS) return 0;
  if (queries + (size_t)masks * K * 2 > HELPED_SCRATCH || queries > HELPED_RESULTS) return 0;
  char *room = helper_room();
  if (!room) return 0;
  copy_shorts((uint16_t *)room, q->data, queries / 2);
  for (int r = 0; r < masks; r++)
    copy_shorts((uint16_t *)(room + queries) + (size_t)r * K, (const char *)mask->data + r * mask->nb[3], K);
  a.q = (const float *)room;
  a.k = k->data;
  a.v = v->data;
  a.mask = mask ? (const uint16_t *)(room + queries) : NULL;
  a.K = K;
  work all = {.part = attention_part, .parts = parts, .columns = 1, .run = (size_t)G * E * sizeof(float), .whole = queries, .to = dst->data};
  *(attention_parts *)all.of = (attention_parts){
      .first = a, .E = E, .G = G, .parts_per_row = H / G,
      .k_part = G * k->nb[2], .v_part = G * v->nb[2], .k_row = k->nb[3], .v_row = v->nb[3],
      .mask_row = masks > 1 ? (size_t)K : 0};
  compute_helped(&all);
  return 1;
}

/*
 * ggml_custom_op_t. `options` is no pointer: in its low half are the bits of a float, the scale, and above whether a thread that is
 * alone may have help. Each thread has a share of the heads.
 */
EXPORT void sled_kernels_attention(struct ggml_tensor *dst, int ith, int nth, void *options) {
  const struct ggml_tensor *q = dst->src[0], *k = dst->src[1], *v = dst->src[2], *mask = dst->src[3];
  const int E = (int)q->ne[0], T = (int)q->ne[1], H = (int)q->ne[2], R = (int)q->ne[3], K = (int)k->ne[1];
  const uint32_t bits = (uint32_t)(uintptr_t)options;
  const int G = heads_together(H), units = H / G * R;
  query a = {.k_stride = k->nb[1], .v_stride = v->nb[1]};
  __builtin_memcpy(&a.scale, &bits, sizeof bits);
  if ((uintptr_t)options >> 32 && nth == 1 && attention_helped(dst, a, G)) return;
  for (int64_t i = (int64_t)units * ith / nth; i < (int64_t)units * (ith + 1) / nth; i++) {
    const int64_t h = i % (H / G) * G, r = i / (H / G);
    a.k = (const char *)k->data + h * k->nb[2] + r * k->nb[3];
    a.v = (const char *)v->data + h * v->nb[2] + r * v->nb[3];
    for (int64_t t = 0; t < T; t++) {
      a.q = (const float *)((const char *)q->data + t * q->nb[1] + h * q->nb[2] + r * q->nb[3]);
      a.mask = mask ? (const uint16_t *)((const char *)mask->data + t * mask->nb[1] + r % mask->ne[3] * mask->nb[3]) : NULL;
      a.K = a.mask ? visible(a.mask, K) : K;
      a.out = (float *)((char *)dst->data + h * dst->nb[1] + t * dst->nb[2] + r * dst->nb[3]);
      attend_to(&a, E, G);
    }
  }
}
