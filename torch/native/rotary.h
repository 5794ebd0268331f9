// Rotary positions (Su et al., 2021) of queries and keys, in one pass each way over what the joined projection gives.
// Letters: B batch, S positions, H heads, E head size, C = H E.
#pragma once
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include "lines.h"
#include "norms.h"

namespace sled {

// left * cos - right * sin and right * cos + left * sin of a head [E]; cos and sin [E / 2]. `turn` -1 turns back.
template <class T>
SLED_INLINE void rotateBody(const T* x, const float* cos, const float* sin, T* out, int64_t half, float turn) {
#pragma omp simd
  for (int64_t i = 0; i < half; i++) {
    const float left = load(x[i]), right = load(x[half + i]), s = turn * sin[i];
    store(out[i], left * cos[i] - right * s);
    store(out[half + i], right * cos[i] + left * s);
  }
}
SLED_LANES void rotateHead(const float* x, const float* cos, const float* sin, float* out, int64_t half, float turn) {
  rotateBody(x, cos, sin, out, half, turn);
}
SLED_LANES void rotateHead(const uint16_t* x, const float* cos, const float* sin, uint16_t* out, int64_t half, float turn) {
  rotateBody(x, cos, sin, out, half, turn);
}

// Between joined [B, S, 3, H, E] and three of [B, H, S, E]: calls rotate(part, row of the former, row of the latter,
// position) for queries (part 0) and keys (1), and copy(row, row) for values.
template <class Rotate, class Copy>
void forHeadRows(int64_t B, int64_t S, int64_t H, const Rotate& rotate, const Copy& copy) {
  at::parallel_for(0, B * S, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t part = 0; part < 3; part++)
        for (int64_t h = 0; h < H; h++) {
          const int64_t joined = (i * 3 + part) * H + h, place = (i / S * H + h) * S + i % S;
          if (part < 2) rotate(part, joined, place, i % S);
          else copy(joined, place);
        }
  });
}

struct RotateHeads : torch::autograd::Function<RotateHeads> {
  static variable_list forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& cos,
                               const at::Tensor& sin, int64_t H) {
    const at::Tensor x = input.contiguous();
    const int64_t B = x.size(0), S = x.size(1), E = x.size(2) / (3 * H);
    const float *c = cos.const_data_ptr<float>(), *s = sin.const_data_ptr<float>();
    const auto empty = [&] { return at::empty({B, H, S, E}, x.options()); };
    const variable_list out{empty(), empty(), empty()};
    withLanes(x, [&](auto* from) {
      const auto to = [&](int64_t part) { return static_cast<decltype(from)>(out[part].data_ptr()); };
      const auto rotate = [&](int64_t part, int64_t joined, int64_t place, int64_t position) {
        const int64_t at = position * E / 2;
        rotateHead(from + joined * E, c + at, s + at, to(part) + place * E, E / 2, 1);
      };
      forHeadRows(B, S, H, rotate, [&](int64_t joined, int64_t place) {
        std::copy_n(from + joined * E, E, to(2) + place * E);
      });
    });
    context->save_for_backward({cos, sin});
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto tables = context->get_saved_variables();
    const float *c = tables[0].const_data_ptr<float>(), *s = tables[1].const_data_ptr<float>();
    const int64_t B = gradients[0].size(0), H = gradients[0].size(1), S = gradients[0].size(2), E = gradients[0].size(3);
    for (auto& gradient : gradients) gradient = gradient.contiguous();
    at::Tensor out = at::empty({B, S, 3 * H * E}, gradients[0].options());
    withLanes(out, [&](auto* to) {
      const auto from = [&](int64_t part) { return static_cast<decltype(to)>(gradients[part].data_ptr()); };
      const auto rotate = [&](int64_t part, int64_t joined, int64_t place, int64_t position) {
        const int64_t at = position * E / 2;
        rotateHead(from(part) + place * E, c + at, s + at, to + joined * E, E / 2, -1);
      };
      forHeadRows(B, S, H, rotate, [&](int64_t joined, int64_t place) {
        std::copy_n(from(2) + place * E, E, to + joined * E);
      });
    });
    return {out, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

// x [B, S, 3C], tables [S, E / 2] in float32 -> queries and keys, rotated, and values, each [B, H, S, E]
static std::tuple<at::Tensor, at::Tensor, at::Tensor> rotateHeads(const at::Tensor& x, const at::Tensor& cos,
                                                                  const at::Tensor& sin, int64_t heads) {
  TORCH_CHECK(x.dim() == 3 && heads > 0 && x.size(2) % (6 * heads) == 0,
              "expected queries, keys and values [B, S, 3C] of ", heads, " heads of even size, got ", x.sizes());
  const int64_t E = x.size(2) / (3 * heads);
  for (const auto& table : {cos, sin})
    TORCH_CHECK(table.dim() == 2 && table.size(0) == x.size(1) && table.size(1) == E / 2,
                "expected tables [", x.size(1), ", ", E / 2, "], got ", table.sizes());
  if (isFused(x) && cos.scalar_type() == at::kFloat && sin.scalar_type() == at::kFloat) {
    const auto out = RotateHeads::apply(x, cos.contiguous(), sin.contiguous(), heads);
    return {out[0], out[1], out[2]};
  }
  const at::Tensor parts = x.view({x.size(0), x.size(1), 3, heads, E}).permute({2, 0, 3, 1, 4});
  const at::Tensor turned = parts.narrow(0, 0, 2), c = cos.to(x.scalar_type()), s = sin.to(x.scalar_type());
  const auto halves = turned.chunk(2, -1);
  const at::Tensor rotated = at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1);
  return {rotated.select(0, 0), rotated.select(0, 1), parts.select(0, 2)};
}

}  // namespace sled
