// The operator sled::causal_attention: attention to a position itself and those before it, with dropout on its weights.
#pragma once
#include <ATen/ops/scaled_dot_product_attention.h>

#include "attention-tiles.h"
#include "attention.h"

namespace sled {

struct CausalAttention : torch::autograd::Function<CausalAttention> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value, double rate, int64_t seed) {
    const bool tiled = canTile(query);
    const auto flat = [](const at::Tensor& x) { return x.reshape({-1, x.size(-2), x.size(-1)}).contiguous(); };
    const auto prepared = [&](const at::Tensor& x) { return tiled ? asRows(x) : flat(x); };
    const at::Tensor q = prepared(query), k = prepared(key), v = prepared(value);
    const auto [output, logSums] = tiled ? attendTiled(q, k, v, maskOf(seed, rate)) : attend(q, k, v, maskOf(seed, rate));
    context->save_for_backward({q, k, v, output, logSums});
    context->saved_data["rate"] = rate;
    context->saved_data["seed"] = seed;
    return output.view(query.sizes());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Mask mask = maskOf(context->saved_data["seed"].toInt(), context->saved_data["rate"].toDouble());
    const auto sizes = gradients[0].sizes();
    const auto result = canTile(gradients[0])
                            ? attendTiledBackward(saved, gradients[0], mask)
                            : attendBackward(saved, gradients[0].reshape(saved[0].sizes()).contiguous(), mask);
    return {result[0].view(sizes), result[1].view(sizes), result[2].view(sizes), at::Tensor(), at::Tensor()};
  }
};

// q, k, v [B, H, S, E] -> [B, H, S, E]
static at::Tensor causalAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double rate) {
  checkRate(rate);
  const auto type = q.scalar_type();
  const bool alike = q.is_cpu() && q.dim() == 4 && k.sizes() == q.sizes() && v.sizes() == q.sizes() &&
                     k.scalar_type() == type && v.scalar_type() == type;
  // libtorch's kernel without stored weights takes no dropout on the CPU.
  const bool ours = alike && (rate > 0 || canTile(q));
  if (!q.is_cpu() || (rate == 0 && !ours)) return at::scaled_dot_product_attention(q, k, v, {}, rate, true);
  TORCH_CHECK(ours && (type == at::kFloat || type == at::kBFloat16),
              "expected three tensors [B, H, S, E] of one shape, all float32 or all bfloat16");
  return CausalAttention::apply(q, k, v, rate, rate == 0 ? 0 : drawSeed());
}

}  // namespace sled
