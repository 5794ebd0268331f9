// Products of small bfloat16 matrices with float32 sums, by the instruction that some x64 processors have for pairs of
// them: MKL has no such kernel for processors that are not Intel's, and oneDNN's batched one starts too slowly.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) || __GNUC__ >= 11)
#define SLED_TILES
#include <immintrin.h>
#define SLED_PAIRS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#endif

namespace sled {

/// Rows of bfloat16, so many elements apart.
struct Rows {
  const uint16_t* data;
  int64_t stride;
};

/// A matrix [K, N] as [K / 2, N] words: rows 2k in their lower halves and 2k + 1 in the upper ones.
struct Pairs {
  const uint32_t* data;
  int64_t stride;
};

// rows [n, width] -> pairs [padded / 2, width]; rows from n on are zeros.
inline void pairRows(Rows rows, int64_t n, int64_t padded, int64_t width, uint32_t* out) {
  for (int64_t row = 0; row < padded; row += 2, out += width) {
    const uint16_t* even = rows.data + row * rows.stride;
    if (row + 1 < n) {
      const uint16_t* odd = even + rows.stride;
      for (int64_t i = 0; i < width; i++) out[i] = even[i] | static_cast<uint32_t>(odd[i]) << 16;
    } else {
      for (int64_t i = 0; i < width; i++) out[i] = row < n ? even[i] : 0;
    }
  }
}

// words [n, width], rows so many words apart -> [width, padded]; columns from n on are zeros.
inline void transposeWords(const uint32_t* words, int64_t stride, int64_t n, int64_t padded, int64_t width, uint32_t* out) {
  constexpr int64_t kSide = 16;  // words of a cache line
  for (int64_t row = 0; row < padded; row += kSide)
    for (int64_t i = 0; i < width; i++)
      for (int64_t k = row; k < std::min(row + kSide, padded); k++) out[i * padded + k] = k < n ? words[k * stride + i] : 0;
}

#ifdef SLED_TILES
inline bool hasTiles() {
  static const bool found = __builtin_cpu_supports("avx512bf16");
  return found;
}

// sums [R, 16 V] of `pairs` pairs, in registers.
template <int R, int V>
SLED_PAIRS inline void multiplyTile(Rows a, Pairs b, float* out, int64_t stride, int64_t pairs, bool add) {
  __m512 sums[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) sums[r][v] = add ? _mm512_loadu_ps(out + r * stride + 16 * v) : _mm512_setzero_ps();
  for (int64_t k = 0; k < pairs; k++) {
    __m512i columns[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) columns[v] = _mm512_loadu_si512(b.data + k * b.stride + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      int pair;
      std::memcpy(&pair, a.data + r * a.stride + 2 * k, sizeof pair);
      const __m512i row = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], (__m512bh)row, (__m512bh)columns[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) _mm512_storeu_ps(out + r * stride + 16 * v, sums[r][v]);
}

template <int R, int V>
SLED_PAIRS inline void multiplyRows(Rows a, Pairs b, float* out, int64_t stride, int64_t rows, int64_t pairs, bool add) {
  for (; rows >= R; rows -= R, a.data += R * a.stride, out += R * stride) multiplyTile<R, V>(a, b, out, stride, pairs, add);
  if constexpr (R > 1)
    if (rows > 0) multiplyRows<R / 2, V>(a, b, out, stride, rows, pairs, add);
}

// out [M, N] float32 = or += a [M, K] x b [K, N]; N a multiple of 32, K of 2.
SLED_PAIRS inline void multiply(Rows a, Pairs b, float* out, int64_t stride, int64_t M, int64_t N, int64_t K, bool add) {
  for (; N >= 64; N -= 64, b.data += 64, out += 64) multiplyRows<6, 4>(a, b, out, stride, M, K / 2, add);
  if (N > 0) multiplyRows<6, 2>(a, b, out, stride, M, K / 2, add);
}
#else
inline bool hasTiles() { return false; }
inline void multiply(Rows, Pairs, float*, int64_t, int64_t, int64_t, int64_t, bool) {}
#endif

}  // namespace sled
