// Causal attention with dropout on its weights, which libtorch's CPU kernel without stored weights does not have: the
// weights [H, S, S] are computed block by block and, for the gradient, once more.
// Letters: N batch times heads, S positions, E head size, R rows or columns of a block.
#pragma once
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "elementwise.h"

namespace sled {

constexpr int64_t kAttentionBlock = 128;  // R: a block of scores of all heads stays in the processor's cache

// scores [n] -> dropped weights, in place; the first `valid` count. Returns log sum exp of the scaled scores.
template <class T>
SLED_INLINE float softmaxRowBody(T* scores, int64_t n, int64_t valid, float scale, uint64_t key, const Mask& mask) {
  float most = load(scores[0]), sum = 0;
#pragma omp simd reduction(max : most)
  for (int64_t j = 0; j < valid; j++) most = larger(most, load(scores[j]));
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < valid; j++) sum += expOf((load(scores[j]) - most) * scale);
  const float kept = mask.scale / sum;
  for (int64_t j = 0; j < valid; j++) {
    const float weight = expOf((load(scores[j]) - most) * scale);
    store(scores[j], weight * keptOr0(key, j, mask.from, kept));
  }
  for (int64_t j = valid; j < n; j++) store(scores[j], 0.0f);
  return most * scale + std::log(sum);
}
SLED_LANES float softmaxRow(float* scores, int64_t n, int64_t valid, float scale, uint64_t key, Mask mask) {
  return softmaxRowBody(scores, n, valid, scale, key, mask);
}
SLED_LANES float softmaxRow(uint16_t* scores, int64_t n, int64_t valid, float scale, uint64_t key, Mask mask) {
  return softmaxRowBody(scores, n, valid, scale, key, mask);
}

struct RowState {
  float logSum;  // of softmaxRow
  float mean;    // output . its gradient: the weights' mean of their gradients
};

struct Columns {
  int64_t first, count, valid;  // of those, so many are not in the future
};

// A row's scores in these columns -> dropped weights; gradients of those -> gradients of the scores; in place.
template <class T>
SLED_INLINE void gradientRowBody(T* scores, T* gradients, const Columns& columns, float scale, uint64_t key,
                                 const Mask& mask, const RowState& row) {
  const auto [first, n, valid] = columns;
  for (int64_t j = 0; j < valid; j++) {
    const float weight = expOf(load(scores[j]) * scale - row.logSum);
    const float kept = keptOr0(key, first + j, mask.from, mask.scale);
    store(scores[j], weight * kept);
    store(gradients[j], weight * (load(gradients[j]) * kept - row.mean) * scale);
  }
  for (int64_t j = valid; j < n; j++) store(scores[j], 0.0f), store(gradients[j], 0.0f);
}
SLED_LANES void gradientRow(float* scores, float* gradients, Columns columns, float scale, uint64_t key, Mask mask,
                            RowState row) {
  gradientRowBody(scores, gradients, columns, scale, key, mask, row);
}
SLED_LANES void gradientRow(uint16_t* scores, uint16_t* gradients, Columns columns, float scale, uint64_t key, Mask mask,
                            RowState row) {
  gradientRowBody(scores, gradients, columns, scale, key, mask, row);
}

// Calls row(head, position, place of the row in a block [N, rows, …]) for the positions from `first` on, on all threads.
template <class Row>
void forPositions(int64_t heads, int64_t first, int64_t rows, const Row& row) {
  at::parallel_for(0, heads * rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) row(i / rows, first + i % rows, i);
  });
}

// q, k, v [N, S, E] -> output [N, S, E], and log sums [N, S]
static std::pair<at::Tensor, at::Tensor> attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                                const Mask& mask) {
  const int64_t N = q.size(0), S = q.size(1);
  const float scale = 1 / std::sqrt(static_cast<float>(q.size(2)));
  at::Tensor output = at::empty_like(q), logSums = at::empty({N, S}, q.options().dtype(at::kFloat));
  float* logSum = logSums.mutable_data_ptr<float>();
  for (int64_t first = 0; first < S; first += kAttentionBlock) {
    const int64_t R = std::min(kAttentionBlock, S - first), n = first + R;
    at::Tensor scores = at::bmm(q.narrow(1, first, R), k.narrow(1, 0, n).transpose(1, 2));  // [N, R, n]
    withLanes(scores, [&](auto* data) {
      forPositions(N, first, R, [&](int64_t head, int64_t position, int64_t place) {
        const int64_t row = head * S + position;
        logSum[row] = softmaxRow(data + place * n, n, position + 1, scale, rowKey(mask.seed, row), mask);
      });
    });
    output.narrow(1, first, R).copy_(at::bmm(scores, v.narrow(1, 0, n)));
  }
  return {output, logSums};
}

// Gradients of q, k and v, block of columns by block.
static std::array<at::Tensor, 3> attendBackward(const std::vector<at::Tensor>& saved, const at::Tensor& gradient,
                                                const Mask& mask) {
  const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &output = saved[3], &logSums = saved[4];
  const int64_t N = q.size(0), S = q.size(1);
  const float scale = 1 / std::sqrt(static_cast<float>(q.size(2)));
  const at::Tensor means = (gradient.to(at::kFloat) * output).sum(-1);  // [N, S]
  const float* mean = means.const_data_ptr<float>();
  const float* logSum = logSums.const_data_ptr<float>();
  at::Tensor forQ = at::zeros(q.sizes(), q.options().dtype(at::kFloat));
  at::Tensor forK = at::empty_like(k), forV = at::empty_like(v);
  for (int64_t first = 0; first < S; first += kAttentionBlock) {
    const int64_t R = std::min(kAttentionBlock, S - first), rows = S - first;
    const at::Tensor queries = q.narrow(1, first, rows), given = gradient.narrow(1, first, rows);
    const at::Tensor keys = k.narrow(1, first, R), values = v.narrow(1, first, R);
    at::Tensor weights = at::bmm(queries, keys.transpose(1, 2));  // [N, rows, R]
    at::Tensor inner = at::bmm(given, values.transpose(1, 2));    // [N, rows, R]
    withLanes(weights, [&](auto* scores) {
      auto* gradients = static_cast<decltype(scores)>(inner.data_ptr());
      forPositions(N, first, rows, [&](int64_t head, int64_t position, int64_t place) {
        const int64_t row = head * S + position;
        const Columns columns{first, R, std::min(R, position - first + 1)};
        gradientRow(scores + place * R, gradients + place * R, columns, scale, rowKey(mask.seed, row), mask,
                    {logSum[row], mean[row]});
      });
    });
    forV.narrow(1, first, R).copy_(at::bmm(weights.transpose(1, 2), given));
    forK.narrow(1, first, R).copy_(at::bmm(inner.transpose(1, 2), queries));
    forQ.narrow(1, first, rows).add_(at::bmm(inner, keys));
  }
  return {forQ.to(q.scalar_type()), forK, forV};
}

}  // namespace sled
