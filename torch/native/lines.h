// Rows of a tensor for kernels that compute in float32, whatever it is stored in; and sums over rows that do not depend
// on the number of threads.
#pragma once
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "lanes.h"

namespace sled {

SLED_LANES void widenRow(const uint16_t* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = load(from[i]);
}
SLED_LANES void roundTo(const float* from, uint16_t* to, int64_t n) {
  for (int64_t i = 0; i < n; i++) store(to[i], from[i]);
}

inline bool isFusedType(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; }
inline bool isFused(const at::Tensor& x) { return x.is_cpu() && isFusedType(x.scalar_type()); }

// Rows one stride apart, each in one piece.
inline at::Tensor asLines(const at::Tensor& x) { return x.dim() == 2 && x.stride(1) == 1 ? x : x.contiguous(); }

/// The rows of a tensor [..., W] that `asLines` returned.
class Lines {
 public:
  explicit Lines(const at::Tensor& x)
      : width(x.size(-1)),
        data_(static_cast<char*>(x.data_ptr())),
        stride_((x.dim() == 2 ? x.stride(0) : width) * x.element_size()),
        isFloat_(x.scalar_type() == at::kFloat) {
    TORCH_CHECK(isFused(x), "expected float32 or bfloat16 on the CPU, got ", x.scalar_type(), " on ", x.device());
  }

  /// A row as float32: in place, or widened into the buffer.
  const float* read(int64_t row, float* buffer) const {
    if (isFloat_) return reinterpret_cast<const float*>(data_ + row * stride_);
    widenRow(reinterpret_cast<const uint16_t*>(data_ + row * stride_), buffer, width);
    return buffer;
  }
  /// Where to write a row: `written` afterwards.
  float* write(int64_t row, float* buffer) const {
    return isFloat_ ? reinterpret_cast<float*>(data_ + row * stride_) : buffer;
  }
  void written(int64_t row, const float* buffer) const {
    if (!isFloat_) roundTo(buffer, reinterpret_cast<uint16_t*>(data_ + row * stride_), width);
  }

  const int64_t width;

 private:
  char* data_;
  int64_t stride_;
  bool isFloat_;
};

constexpr int64_t kRowsOfSum = 32;  // rows that one thread adds up

SLED_LANES void addRow(float* sum, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}

/**
 * Calls work(row, sums [K, W], buffer) for all rows on all threads, and returns the sums [K, W] over all rows. Each block
 * of rows has sums of its own, added up in order. A buffer holds so many floats.
 */
template <class Work>
at::Tensor sumOverRows(int64_t rows, int64_t K, int64_t width, int64_t bufferLength, const Work& work) {
  const int64_t blocks = (rows + kRowsOfSum - 1) / kRowsOfSum;
  at::Tensor partial = at::zeros({std::max<int64_t>(blocks, 1), K, width}, at::kFloat);
  float* sums = partial.mutable_data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(static_cast<size_t>(bufferLength));
    for (int64_t block = begin; block < end; block++)
      for (int64_t row = block * kRowsOfSum; row < std::min(rows, (block + 1) * kRowsOfSum); row++)
        work(row, sums + block * K * width, buffer.data());
  });
  for (int64_t block = 1; block < blocks; block++) addRow(sums, sums + block * K * width, K * width);
  return partial.select(0, 0);
}

/** Calls work(row, buffer) for all rows on all threads; a buffer holds so many floats. */
template <class Work>
void forLines(int64_t rows, int64_t bufferLength, const Work& work) {
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(static_cast<size_t>(bufferLength));
    for (int64_t row = begin; row < end; row++) work(row, buffer.data());
  });
}

}  // namespace sled
