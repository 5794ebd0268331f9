// What our own kernels are made of: random bits by counter, bfloat16 as bits, and an exponential that compilers turn into
// vector instructions.
#pragma once
#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <cstring>

// Loops compiled for several processors, chosen when the addon is loaded; elsewhere for the least one.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define SLED_LANES __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3", "no-trapping-math")))
#else
#define SLED_LANES
#endif
#define SLED_INLINE inline __attribute__((always_inline))

namespace sled {

// Bits are a function of (seed, row, place in the row): any number of threads, and a backward pass that draws them again,
// see the same. The key of a row is SplitMix64's (Steele et al., 2014); inside, a 32-bit mixer (C. Wellons, 2018).
SLED_INLINE uint64_t rowKey(uint64_t seed, int64_t row) {
  uint64_t z = seed + (static_cast<uint64_t>(row) + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

SLED_INLINE uint32_t randomBits(uint32_t keyLow, uint32_t keyHigh, uint32_t place) {
  uint32_t x = place * 0x9e3779b9u + keyLow;
  x = (x ^ (x >> 16)) * 0x21f0aaadu;
  x = ((x ^ (x >> 15)) + keyHigh) * 0x735a2d97u;
  return x ^ (x >> 15);
}
SLED_INLINE uint32_t randomBits(uint64_t key, uint32_t place) {
  return randomBits(static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32), place);
}

// Bits from here on keep an element: so many of 2^32 that the share of those below is `rate`.
inline uint32_t keepFrom(double rate) { return static_cast<uint32_t>(rate * 4294967296.0); }

SLED_INLINE uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
SLED_INLINE float floatOf(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

SLED_INLINE float load(const float& x) { return x; }
SLED_INLINE float load(const uint16_t& x) { return floatOf(static_cast<uint32_t>(x) << 16); }
SLED_INLINE void store(float& to, float x) { to = x; }
// To the nearest, ties to even.
SLED_INLINE void store(uint16_t& to, float x) {
  const uint32_t bits = bitsOf(x);
  to = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Standard functions are not inlined into loops that are compiled for a processor.
SLED_INLINE float larger(float a, float b) { return a < b ? b : a; }

// e^x for x <= 0, within 2e-7 of its value; 1.6e-38 from -87 on. NaN stays NaN. Without a branch, as vectors need it.
SLED_INLINE float expOf(float x) {
  const float bounded = larger(x, -87.0f);
  const float power = static_cast<float>(static_cast<int32_t>(bounded * 1.44269504f - 0.5f));  // to the nearest
  // x - power * ln 2, in two parts for exactness
  const float rest = (bounded - power * 0.693359375f) + power * 2.12194440e-4f;
  // Cephes' expf: 1 + r + r^2 p(r)
  float p = 1.9875691500e-4f;
  p = p * rest + 1.3981999507e-3f;
  p = p * rest + 8.3334519073e-3f;
  p = p * rest + 4.1665795894e-2f;
  p = p * rest + 1.6666665459e-1f;
  p = p * rest + 5.0000001201e-1f;
  const auto exponent = static_cast<uint32_t>(static_cast<int32_t>(power) + 127) << 23;
  return (p * rest * rest + rest + 1.0f) * floatOf(exponent);
}

// x or 0, without a branch, which a vector has not.
SLED_INLINE float onlyIf(bool condition, float x) { return floatOf(bitsOf(x) & -static_cast<uint32_t>(condition)); }

// 1 / (1 + e^-x), without overflow.
SLED_INLINE float sigmoidOf(float x) {
  const float e = expOf(floatOf(bitsOf(x) | 0x80000000u));  // of -|x|
  // 1 / (1 + e), or e / (1 + e) where x < 0
  const auto negative = static_cast<uint32_t>(static_cast<int32_t>(bitsOf(x)) >> 31);
  return floatOf((bitsOf(e) & negative) | (bitsOf(1.0f) & ~negative)) / (1.0f + e);
}

// Calls work(data) with a tensor's elements as the loops take them, float or bfloat16 as uint16_t.
template <class Work>
void withLanes(const at::Tensor& tensor, const Work& work) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return work(static_cast<float*>(tensor.data_ptr()));
    case at::kBFloat16: return work(static_cast<uint16_t*>(tensor.data_ptr()));
    default: TORCH_CHECK(false, "expected float32 or bfloat16, got ", tensor.scalar_type());
  }
}

}  // namespace sled
