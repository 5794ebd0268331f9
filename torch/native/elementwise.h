// Dropout whose mask is never stored, and stochastic rounding to bfloat16; on a GPU by libtorch's operators.
#pragma once
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/Context.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include "lanes.h"

namespace sled {

constexpr int64_t kRow = 4096;  // elements that share a key

// Calls row(number, begin, end) for all rows of a tensor of so many elements, on all threads.
template <class Row>
void forRows(int64_t elements, const Row& row) {
  at::parallel_for(0, (elements + kRow - 1) / kRow, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) row(i, i * kRow, std::min(elements, (i + 1) * kRow));
  });
}

struct Mask {
  uint64_t seed;
  uint32_t from;  // bits that keep
  float scale;    // of what is kept
};

inline Mask maskOf(int64_t seed, double rate) {
  return {static_cast<uint64_t>(seed), keepFrom(rate), static_cast<float>(1 / (1 - rate))};
}

// `kept` or 0, as the bits at this place decide.
SLED_INLINE float keptOr0(uint64_t key, int64_t place, uint32_t from, float kept) {
  return onlyIf(randomBits(key, static_cast<uint32_t>(place)) >= from, kept);
}

template <class T>
SLED_INLINE void dropRowBody(const T* x, T* out, int64_t n, uint64_t key, uint32_t from, float scale) {
  for (int64_t i = 0; i < n; i++) store(out[i], load(x[i]) * keptOr0(key, i, from, scale));
}
SLED_LANES void dropRow(const float* x, float* out, int64_t n, uint64_t key, uint32_t from, float scale) {
  dropRowBody(x, out, n, key, from, scale);
}
SLED_LANES void dropRow(const uint16_t* x, uint16_t* out, int64_t n, uint64_t key, uint32_t from, float scale) {
  dropRowBody(x, out, n, key, from, scale);
}

static at::Tensor applyMask(const at::Tensor& x, const Mask& mask) {
  const at::Tensor dense = x.contiguous();
  at::Tensor out = at::empty_like(dense);
  withLanes(out, [&](auto* to) {
    const auto* from = static_cast<decltype(to)>(dense.data_ptr());
    forRows(dense.numel(), [&](int64_t row, int64_t begin, int64_t end) {
      dropRow(from + begin, to + begin, end - begin, rowKey(mask.seed, row), mask.from, mask.scale);
    });
  });
  return out;
}

// A seed from the generator that manualSeed seeds.
static int64_t drawSeed() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return static_cast<int64_t>(at::check_generator<at::CPUGeneratorImpl>(generator)->random64());
}

struct Dropout : torch::autograd::Function<Dropout> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, double rate, int64_t seed) {
    context->saved_data["rate"] = rate;
    context->saved_data["seed"] = seed;
    return applyMask(x, maskOf(seed, rate));
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const Mask mask = maskOf(context->saved_data["seed"].toInt(), context->saved_data["rate"].toDouble());
    return {applyMask(gradients[0], mask), at::Tensor(), at::Tensor()};
  }
};

static void checkRate(double rate) {
  TORCH_CHECK(rate >= 0 && rate < 1, "dropout: expected a rate from 0 to less than 1, got ", rate);
}

static at::Tensor dropout(const at::Tensor& x, double rate) {
  checkRate(rate);
  if (!x.is_cpu()) return at::dropout(x, rate, true);
  return Dropout::apply(x, rate, drawSeed());
}

SLED_LANES void roundRow(const float* x, uint16_t* out, int64_t n, uint64_t key) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t bits = bitsOf(x[i]);
    // The lower half is how far x is above the number below it: adding a random half carries as often as that is part of
    // the gap. Infinities and NaN have an exponent of ones and stay.
    const uint32_t chance = (bits & 0x7f800000u) == 0x7f800000u ? 0 : randomBits(key, static_cast<uint32_t>(i)) >> 16;
    out[i] = static_cast<uint16_t>((bits + chance) >> 16);
  }
}

// roundRow by libtorch's operators, with random bits of a generator for the tensors' device.
static void roundByChance(at::Tensor& out, const at::Tensor& values, const at::Generator& generator) {
  const at::Tensor bits = values.view(at::kInt);
  const at::Tensor chance = at::randint(0, 1 << 16, bits.sizes(), generator, bits.options());
  const at::Tensor moved = at::where(at::isfinite(values), bits + chance, bits);
  out.copy_(moved.bitwise_and(static_cast<int64_t>(-1) << 16).view(at::kFloat));
}

// out (bfloat16) <- values (float32), up or down by chance, so that it is right on average.
static at::Tensor& stochasticRound(at::Tensor& out, const at::Tensor& values, int64_t seed) {
  TORCH_CHECK(out.device() == values.device() && out.scalar_type() == at::kBFloat16 && out.is_contiguous() &&
                  values.scalar_type() == at::kFloat && values.is_contiguous() && out.sizes() == values.sizes(),
              "sled::stochastic_round_: expected contiguous tensors of one shape, bfloat16 and float32");
  if (!out.is_cpu()) {
    at::Generator generator = at::globalContext().defaultGenerator(out.device()).clone();
    generator.set_current_seed(static_cast<uint64_t>(seed));
    roundByChance(out, values, generator);
    return out;
  }
  const float* from = values.const_data_ptr<float>();
  uint16_t* to = static_cast<uint16_t*>(out.data_ptr());
  forRows(values.numel(), [&](int64_t row, int64_t begin, int64_t end) {
    roundRow(from + begin, to + begin, end - begin, rowKey(static_cast<uint64_t>(seed), row));
  });
  return out;
}

}  // namespace sled
