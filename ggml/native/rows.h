/*
 * Sixteen rows of each type times C columns, added to out [C]: the formulas, for vectors of either kind. Those of floats go through G such
 * groups at once, `group` bytes apart, out [G, C]: a sum waits for the one before it, so that one column of one group alone would leave a
 * processor with nothing to do most of the time. No sum's order depends on G or C.
 */
#ifndef SLED_ROWS_H
#define SLED_ROWS_H

#include "columns.h"

#define AHEAD 4096 /* bytes */

/*
 * Asks for what comes a page after w. A processor fetches ahead by itself, and with few columns as fast as memory gives it, but within a
 * page: where columns take longer than memory, the first lines of each page would be waited for.
 */
INLINE void fetch(const uint8_t *w, int wanted) {
  if (wanted) __builtin_prefetch(w + AHEAD);
}

INLINE ints word(const column *x, int i) { return all_ints(((const int32_t *)x->values)[i]); }

INLINE void rows_f32(const uint8_t *w, size_t group, int G, const column *x, int K, int C, floats *out) {
  for (int k = 0; k < K; k++) {
    fetch(w + 64 * k, C == 8);
    UNROLL for (int g = 0; g < G; g++) {
      const floats row = load(w + g * group + 64 * k);
      UNROLL for (int c = 0; c < C; c++)
        out[g * C + c] = plus_product(out[g * C + c], row, all(((const float *)x[c].values)[k]));
    }
  }
}

/* bf16 is the upper half of a float: of each pair the second is one but for small change, the first is shifted to be one. */
INLINE floats first_of(ints pairs) { return as_floats(shifted_left(pairs)); }
INLINE floats second_of(ints pairs) { return as_floats(both(pairs, all_ints((int32_t)0xffff0000))); }

INLINE void rows_bf16(const uint8_t *w, size_t group, int G, const column *x, int K, int C, floats *out) {
  for (int k = 0; k < K / 2; k++) {
    fetch(w + 64 * k, C == 8);
    UNROLL for (int g = 0; g < G; g++) {
      const ints row = load_ints(w + g * group + 64 * k);
      UNROLL for (int c = 0; c < C; c++) {
        floats *sum = &out[g * C + c];
        *sum = plus_product(*sum, second_of(row), second_of(word(&x[c], k)));
        *sum = plus_product(*sum, first_of(row), first_of(word(&x[c], k)));
      }
    }
  }
}

INLINE void rows_q8_0(const uint8_t *w, const column *x, int K, int C, floats *out) {
  for (int b = 0; b < K / 32; b++, w += ROWS * 34) {
    ints sum[WIDEST];
    UNROLL for (int c = 0; c < C; c++) sum[c] = begin_bytes(x[c].sums[b]);
    UNROLL for (int i = 0; i < 8; i++) {
      fetch(w + 32 + 64 * i, C == 8);
      const ints row = load_ints(w + 32 + 64 * i);
      UNROLL for (int c = 0; c < C; c++) sum[c] = plus_bytes(sum[c], row, word(&x[c], 8 * b + i));
    }
    const floats scale = halves(w);
    UNROLL for (int c = 0; c < C; c++) out[c] = plus_product(out[c], to_floats(sum[c]), times(scale, all(x[c].scales[b])));
  }
}

INLINE void rows_q4_0(const uint8_t *w, const column *x, int K, int C, floats *out) {
  const ints low = all_ints(0x0f0f0f0f);
  for (int b = 0; b < K / 32; b++, w += ROWS * 18) {
    quads_sum sum[WIDEST];
    UNROLL for (int c = 0; c < C; c++) sum[c] = no_quads();
    UNROLL for (int i = 0; i < 4; i++) {
      fetch(w + 32 + 64 * i, C >= 4);
      const ints row = load_ints(w + 32 + 64 * i);
      const ints first = both(row, low), second = both(shifted_right(row, 4), low);
      UNROLL for (int c = 0; c < C; c++) {
        sum[c] = plus_quads(sum[c], first, word(&x[c], 8 * b + i));
        sum[c] = plus_quads(sum[c], second, word(&x[c], 8 * b + 4 + i));
      }
    }
    const floats scale = halves(w);
    UNROLL for (int c = 0; c < C; c++) {
      /* Halves are stored with 8 added. */
      const ints total = plus(total_quads(sum[c]), all_ints(-8 * x[c].sums[b]));
      out[c] = plus_product(out[c], to_floats(total), times(scale, all(x[c].scales[b])));
    }
  }
}

/* 8 scales and 8 minima of 6 bits for sixteen rows, from ggml's 12 bytes: a byte of each row in turn. */
INLINE void scales_q4_K(const uint8_t *packed, uint8_t *scales, uint8_t *minima) {
  const ints six = all_ints(0x3f3f3f3f), four = all_ints(0x0f0f0f0f), high = all_ints(0x30303030);
  const ints a = load_ints(packed), b = load_ints(packed + 64), c = load_ints(packed + 128);
  store_ints(scales, both(a, six));
  store_ints(minima, both(b, six));
  store_ints(scales + 64, either(both(c, four), both(shifted_right(a, 2), high)));
  store_ints(minima + 64, either(both(shifted_right(c, 4), four), both(shifted_right(b, 2), high)));
}

/* sum over columns j of 32: scale_j * q_j . x_j  -  minimum_j * sum(x_j) */
INLINE void rows_q4_K(const uint8_t *w, const column *x, int K, int C, floats *out) {
  const ints low = all_ints(0x0f0f0f0f);
  for (int b = 0; b < K / 256; b++, w += ROWS * 144) {
    _Alignas(64) uint8_t scales[128], minima[128];
    scales_q4_K(w + 64, scales, minima);
    ints sum[WIDEST], least[WIDEST];
    UNROLL for (int i = 0; i < 4; i++) fetch(w + 64 * i, C == 8);
    UNROLL for (int c = 0; c < C; c++) sum[c] = least[c] = no_ints();
    UNROLL for (int j = 0; j < 8; j += 2) {
      const ints pair = either(from_bytes(minima + 16 * j), shifted_left(from_bytes(minima + 16 * j + 16)));
      UNROLL for (int c = 0; c < C; c++) least[c] = plus_pairs(least[c], pair, all_ints(x[c].sums[4 * b + j / 2]));
    }
    const floats scale = halves(w), minimum = halves(w + 32);
    UNROLL for (int c = 0; c < C; c++)
      out[c] = minus_product(out[c], to_floats(least[c]), times(minimum, all(x[c].scales[b])));
    /* Columns j and j + 1 lie in the halves of the same bytes. */
    for (int j = 0; j < 8; j += 2)
      UNROLL for (int first = 0; first < 2; first += C <= WIDEST / 2 ? 2 : 1) {
        const uint8_t *words = w + 256 + 256 * j;
        const int end = C <= WIDEST / 2 ? 2 : first + 1;
        quads_sum part[2 * WIDEST];
        UNROLL for (int c = 0; c < 2 * C; c++) part[c] = no_quads();
        UNROLL for (int i = 0; i < 8; i++) {
          fetch(words + 64 * i, C == 8 && first == 0);
          const ints both_halves = load_ints(words + 64 * i);
          UNROLL for (int half = first; half < end; half++) {
            const ints row = both(half ? shifted_right(both_halves, 4) : both_halves, low);
            UNROLL for (int c = 0; c < C; c++)
              part[half * C + c] = plus_quads(part[half * C + c], row, word(&x[c], 64 * b + 8 * (j + half) + i));
          }
        }
        UNROLL for (int half = first; half < end; half++) {
          const ints factor = from_bytes(scales + 16 * (j + half));
          UNROLL for (int c = 0; c < C; c++) sum[c] = plus(sum[c], product(total_quads(part[half * C + c]), factor));
        }
      }
    UNROLL for (int c = 0; c < C; c++)
      out[c] = plus_product(out[c], to_floats(sum[c]), times(scale, all(x[c].scales[b])));
  }
}

#endif
