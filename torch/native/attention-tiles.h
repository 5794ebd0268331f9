// Causal attention in bfloat16 head by head, where the processor multiplies pairs: a head's queries, keys and values stay
// in its cache. Letters: B batch, H heads, S positions, P positions padded to whole tiles, E head size.
#pragma once
#include <ATen/ops/empty.h>

#include "elementwise.h"
#include "lines.h"
#include "tiles.h"

namespace sled {

constexpr int64_t kTile = 64;       // keys and queries of a tile
constexpr int64_t kQueryRows = 32;  // whose scores are held at once

inline int64_t paddedTo(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// scores [n] -> dropped weights, of which the first `valid` count. Returns log sum exp of the scaled scores.
SLED_LANES float softmaxTo(float* scores, uint16_t* weights, int64_t n, int64_t valid, float scale, uint64_t key,
                           Mask mask) {
  float most = scores[0], sum = 0;
#pragma omp simd reduction(max : most)
  for (int64_t j = 0; j < valid; j++) most = larger(most, scores[j]);
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < valid; j++) sum += scores[j] = expOf((scores[j] - most) * scale);
  const float kept = mask.scale / sum;
  for (int64_t j = 0; j < valid; j++) store(weights[j], scores[j] * keptOr0(key, j, mask.from, kept));
  for (int64_t j = valid; j < n; j++) weights[j] = 0;
  return most * scale + std::log(sum);
}

SLED_LANES float dotRow(const uint16_t* a, const uint16_t* b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += load(a[i]) * load(b[i]);
  return sum;
}

// Of the queries of a tile: softmaxTo's log sum, the weights' mean of their gradients, and the key of dropout's bits.
struct QueryStates {
  float logSum[kTile], mean[kTile];
  uint32_t keyLow[kTile], keyHigh[kTile];
};

// Scores of one key with a tile's queries -> dropped weights; gradients of those -> gradients of the scores. Queries
// before `first` do not see the key.
SLED_LANES void gradientColumns(const float* scores, const float* inner, uint16_t* weights, uint16_t* gradients,
                                int32_t first, float scale, const QueryStates& states, uint32_t place, Mask mask) {
#pragma omp simd
  for (int32_t i = 0; i < kTile; i++) {
    const float seen = expOf(scores[i] * scale - states.logSum[i]);
    const float weight = onlyIf(i >= first, seen);
    const float kept = onlyIf(randomBits(states.keyLow[i], states.keyHigh[i], place) >= mask.from, mask.scale);
    store(weights[i], weight * kept);
    store(gradients[i], weight * (inner[i] * kept - states.mean[i]) * scale);
  }
}

inline const uint32_t* wordsOf(Rows rows) { return reinterpret_cast<const uint32_t*>(rows.data); }
inline Rows from(Rows rows, int64_t row) { return {rows.data + row * rows.stride, rows.stride}; }

// A head's rows in a tensor [B, H, S, E] whose last stride is 1.
inline Rows headOf(const at::Tensor& x, int64_t head) {
  const int64_t H = x.size(1);
  const auto* data = static_cast<const uint16_t*>(x.const_data_ptr());
  return {data + head / H * x.stride(0) + head % H * x.stride(1), x.stride(2)};
}

/// Scratch memory of a thread, aligned to a cache line.
struct Scratch {
  at::Tensor memory;
  explicit Scratch(int64_t words) : memory(at::empty({words}, at::kInt)) {}
  int64_t used = 0;
  template <class T>
  T* take(int64_t count) {
    T* start = reinterpret_cast<T*>(memory.mutable_data_ptr<int32_t>() + used);
    used += paddedTo(count * static_cast<int64_t>(sizeof(T)), 64) / 4;
    TORCH_INTERNAL_ASSERT(used <= memory.numel());
    return start;
  }
};

struct AttentionShape {
  int64_t S, P, E;
  float scale;
  explicit AttentionShape(const at::Tensor& q)
      : S(q.size(2)), P(paddedTo(S, kTile)), E(q.size(3)), scale(1 / std::sqrt(static_cast<float>(E))) {}
};

// q, k, v [S, E] -> out [S, E] and log sums [S] of one head.
static void attendHead(const AttentionShape& shape, Rows q, Rows k, Rows v, int64_t head, const Mask& mask, uint16_t* out,
                       int64_t outStride, float* logSum) {
  const auto [S, P, E, scale] = shape;
  Scratch scratch(E * P + kQueryRows * (2 * P + E) + 64);
  auto* keys = scratch.take<uint32_t>(E / 2 * P);
  auto* values = scratch.take<uint32_t>(P / 2 * E);
  auto* scores = scratch.take<float>(kQueryRows * P);
  auto* weights = scratch.take<uint16_t>(kQueryRows * P);
  auto* sums = scratch.take<float>(kQueryRows * E);
  transposeWords(wordsOf(k), k.stride / 2, S, P, E / 2, keys);
  pairRows(v, S, P, E, values);
  for (int64_t first = 0; first < S; first += kQueryRows) {
    const int64_t R = std::min(kQueryRows, S - first), n = paddedTo(first + R, kTile);
    multiply(from(q, first), {keys, P}, scores, P, R, n, E, false);
    for (int64_t r = 0; r < R; r++) {
      const int64_t row = first + r;
      const uint64_t key = rowKey(mask.seed, head * S + row);
      logSum[row] = softmaxTo(scores + r * P, weights + r * P, n, row + 1, scale, key, mask);
    }
    multiply({weights, P}, {values, E}, sums, E, R, E, n, false);
    for (int64_t r = 0; r < R; r++) roundTo(sums + r * E, out + (first + r) * outStride, E);
  }
}

/// What the gradients of one head are computed from.
struct HeadInputs {
  Rows q, k, v, output, given;
  const float* logSum;
  int64_t head;
};

/// The gradients of one head, each [S, E].
struct HeadGradients {
  uint16_t *q, *k, *v;
};

static QueryStates statesOf(const HeadInputs& inputs, const AttentionShape& shape, int64_t first, const Mask& mask) {
  QueryStates states;
  for (int64_t i = 0; i < kTile; i++) {
    const int64_t row = first + i;
    const bool real = row < shape.S;
    states.logSum[i] = real ? inputs.logSum[row] : 1e30f;  // no weight
    states.mean[i] = real ? dotRow(from(inputs.given, row).data, from(inputs.output, row).data, shape.E) : 0;
    const uint64_t key = rowKey(mask.seed, inputs.head * shape.S + row);
    states.keyLow[i] = static_cast<uint32_t>(key);
    states.keyHigh[i] = static_cast<uint32_t>(key >> 32);
  }
  return states;
}

// forQueries [E, P] -> [S, E]
static void storeColumns(const float* columns, const AttentionShape& shape, uint16_t* out) {
  for (int64_t first = 0; first < shape.S; first += kTile)
    for (int64_t e = 0; e < shape.E; e++)
      for (int64_t i = first; i < std::min(first + kTile, shape.S); i++)
        store(out[i * shape.E + e], columns[e * shape.P + i]);
}

/// A head's rows as its gradient's products take them, and room for what is between those. Scores stand with keys as rows,
/// so that products over queries find their pairs side by side.
struct BackwardBuffers {
  Scratch scratch;
  uint32_t *queries, *givens, *queryRows, *givenRows, *keyColumns, *gradientPairs;
  float *forQueries, *forKeys, *forValues, *scores, *inner;
  uint16_t *weights, *gradients;

  BackwardBuffers(const AttentionShape& shape, const HeadInputs& inputs)
      : scratch(7 * shape.E / 2 * shape.P + 2 * kTile * (kTile + shape.E) + 3 * kTile * kTile / 2 + 256) {
    const auto [S, P, E, scale] = shape;
    queries = scratch.take<uint32_t>(E / 2 * P);     // [E / 2, P]
    givens = scratch.take<uint32_t>(E / 2 * P);      // [E / 2, P]
    queryRows = scratch.take<uint32_t>(P / 2 * E);   // [P / 2, E]
    givenRows = scratch.take<uint32_t>(P / 2 * E);   // [P / 2, E]
    keyColumns = scratch.take<uint32_t>(E * P / 2);  // [E, P / 2]
    forQueries = scratch.take<float>(E * P);         // [E, P]
    for (float** tile : {&forKeys, &forValues}) *tile = scratch.take<float>(kTile * E);
    for (float** tile : {&scores, &inner}) *tile = scratch.take<float>(kTile * kTile);
    for (uint16_t** tile : {&weights, &gradients}) *tile = scratch.take<uint16_t>(kTile * kTile);
    gradientPairs = scratch.take<uint32_t>(kTile / 2 * kTile);
    pairRows(inputs.k, S, P, E, queries);
    transposeWords(queries, E, P / 2, P / 2, E, keyColumns);
    transposeWords(wordsOf(inputs.q), inputs.q.stride / 2, S, P, E / 2, queries);
    transposeWords(wordsOf(inputs.given), inputs.given.stride / 2, S, P, E / 2, givens);
    pairRows(inputs.q, S, P, E, queryRows);
    pairRows(inputs.given, S, P, E, givenRows);
  }
};

// What a tile of keys, from `first` on, and one of queries add to the gradients.
static void addTile(const AttentionShape& shape, const HeadInputs& inputs, const BackwardBuffers& b, const Mask& mask,
                    const QueryStates& states, int64_t first, int64_t query) {
  const auto [S, P, E, scale] = shape;
  const int64_t n = std::min(kTile, S - first);  // keys
  const bool again = query > first;
  multiply(from(inputs.k, first), {b.queries + query, P}, b.scores, kTile, n, kTile, E, false);
  multiply(from(inputs.v, first), {b.givens + query, P}, b.inner, kTile, n, kTile, E, false);
  for (int64_t j = 0; j < n; j++)
    gradientColumns(b.scores + j * kTile, b.inner + j * kTile, b.weights + j * kTile, b.gradients + j * kTile,
                    static_cast<int32_t>(first + j - query), scale, states, static_cast<uint32_t>(first + j), mask);
  multiply({b.weights, kTile}, {b.givenRows + query / 2 * E, E}, b.forValues, E, n, E, kTile, again);
  multiply({b.gradients, kTile}, {b.queryRows + query / 2 * E, E}, b.forKeys, E, n, E, kTile, again);
  pairRows({b.gradients, kTile}, n, kTile, kTile, b.gradientPairs);
  const Rows keysAcross{reinterpret_cast<const uint16_t*>(b.keyColumns) + first, P};
  multiply(keysAcross, {b.gradientPairs, kTile}, b.forQueries + query, P, E, kTile, kTile, first > 0);
}

static void attendHeadBackward(const AttentionShape& shape, const HeadInputs& inputs, const Mask& mask, HeadGradients out) {
  const int64_t S = shape.S, E = shape.E;
  const BackwardBuffers buffers(shape, inputs);
  std::vector<QueryStates> states;
  for (int64_t first = 0; first < S; first += kTile) states.push_back(statesOf(inputs, shape, first, mask));
  for (int64_t first = 0; first < S; first += kTile) {
    for (int64_t query = first; query < S; query += kTile)
      addTile(shape, inputs, buffers, mask, states[query / kTile], first, query);
    const int64_t n = std::min(kTile, S - first);
    roundTo(buffers.forKeys, out.k + first * E, n * E);
    roundTo(buffers.forValues, out.v + first * E, n * E);
  }
  storeColumns(buffers.forQueries, shape, out.q);
}

// Calls work(head) for all heads of x [B, H, S, E], on all threads.
template <class Work>
void forHeads(const at::Tensor& x, const Work& work) {
  at::parallel_for(0, x.size(0) * x.size(1), 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; head++) work(head);
  });
}

inline bool canTile(const at::Tensor& q) { return hasTiles() && q.scalar_type() == at::kBFloat16 && q.size(3) % 32 == 0; }

// Rows must be whole and start at even places.
inline at::Tensor asRows(const at::Tensor& x) {
  const bool fits = x.stride(3) == 1 && x.stride(0) % 2 == 0 && x.stride(1) % 2 == 0 && x.stride(2) % 2 == 0;
  return fits ? x : x.contiguous();
}

// q, k, v [B, H, S, E] -> output [B, H, S, E], its memory [B, S, H, E], and log sums [B, H, S]
static std::pair<at::Tensor, at::Tensor> attendTiled(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                                     const Mask& mask) {
  const AttentionShape shape(q);
  const int64_t B = q.size(0), H = q.size(1), S = shape.S, E = shape.E;
  at::Tensor output = at::empty({B, S, H, E}, q.options());
  at::Tensor logSums = at::empty({B, H, S}, q.options().dtype(at::kFloat));
  auto* out = static_cast<uint16_t*>(output.data_ptr());
  float* logSum = logSums.mutable_data_ptr<float>();
  forHeads(q, [&](int64_t head) {
    attendHead(shape, headOf(q, head), headOf(k, head), headOf(v, head), head, mask,
               out + (head / H * S * H + head % H) * E, H * E, logSum + head * S);
  });
  return {output.transpose(1, 2), logSums};
}

// Gradients of q, k and v, each [B, H, S, E].
static std::array<at::Tensor, 3> attendTiledBackward(const std::vector<at::Tensor>& saved, const at::Tensor& gradient,
                                                     const Mask& mask) {
  const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &output = saved[3];
  const AttentionShape shape(q);
  const at::Tensor given = asRows(gradient);
  const auto empty = [&] { return at::empty(q.sizes(), q.options()); };
  const std::array<at::Tensor, 3> result{empty(), empty(), empty()};
  const float* logSum = saved[4].const_data_ptr<float>();
  forHeads(q, [&](int64_t head) {
    const int64_t start = head * shape.S * shape.E;
    const auto at = [&](const at::Tensor& x) { return static_cast<uint16_t*>(x.data_ptr()) + start; };
    const HeadInputs inputs{headOf(q, head),      headOf(k, head),     headOf(v, head), headOf(output, head),
                            headOf(given, head), logSum + head * shape.S, head};
    attendHeadBackward(shape, inputs, mask, {at(result[0]), at(result[1]), at(result[2])});
  });
  return result;
}

}  // namespace sled
