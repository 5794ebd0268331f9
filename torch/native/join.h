// Several weights as the one matrix of a product, in the type that products take: one pass each way.
#pragma once
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

#include "norms.h"

namespace sled {

constexpr int64_t kPiece = 1 << 14;  // elements that a thread converts at once

// to [n] <- from [n], in float32 or bfloat16 each
static void convert(const at::Tensor& from, const at::Tensor& to) {
  if (!from.is_cpu()) {
    to.copy_(from);
    return;
  }
  const bool narrow = from.scalar_type() == at::kFloat && to.scalar_type() == at::kBFloat16;
  const bool wide = from.scalar_type() == at::kBFloat16 && to.scalar_type() == at::kFloat;
  const auto* source = static_cast<const char*>(from.const_data_ptr());
  auto* target = static_cast<char*>(to.data_ptr());
  at::parallel_for(0, (from.numel() + kPiece - 1) / kPiece, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kPiece; i < std::min(from.numel(), end * kPiece); i += kPiece) {
      const int64_t n = std::min(kPiece, from.numel() - i);
      const char* x = source + i * from.element_size();
      char* y = target + i * to.element_size();
      if (narrow) roundTo(reinterpret_cast<const float*>(x), reinterpret_cast<uint16_t*>(y), n);
      else if (wide) widenRow(reinterpret_cast<const uint16_t*>(x), reinterpret_cast<float*>(y), n);
      else std::memcpy(y, x, n * from.element_size());
    }
  });
}

struct JoinRows : torch::autograd::Function<JoinRows> {
  static at::Tensor forward(AutogradContext* context, at::TensorList parts) {
    std::vector<int64_t> rows, types;
    for (const auto& part : parts) rows.push_back(part.size(0)), types.push_back(static_cast<int64_t>(part.scalar_type()));
    auto sizes = parts[0].sizes().vec();
    sizes[0] = std::accumulate(rows.begin(), rows.end(), int64_t{0});
    at::Tensor out = at::empty(sizes, parts[0].options().dtype(productType(parts[0])));
    for (size_t i = 0, first = 0; i < parts.size(); first += rows[i++])
      convert(parts[i].contiguous(), out.narrow(0, static_cast<int64_t>(first), rows[i]));
    context->saved_data["rows"] = rows;
    context->saved_data["types"] = types;
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto rows = context->saved_data["rows"].toIntVector(), types = context->saved_data["types"].toIntVector();
    const at::Tensor given = gradients[0].contiguous();
    variable_list result;
    for (size_t i = 0, first = 0; i < rows.size(); first += rows[i++]) {
      const at::Tensor part = given.narrow(0, static_cast<int64_t>(first), rows[i]);
      result.push_back(emptyLike(part, static_cast<at::ScalarType>(types[i])));
      convert(part, result.back());
    }
    return result;
  }
};

// parts [R_i, …] -> [sum of R_i, …], as products take it
static at::Tensor joinRows(at::TensorList parts) {
  TORCH_CHECK(!parts.empty() && parts[0].dim() > 0, "expected tensors of at least one dimension");
  for (const auto& part : parts)
    TORCH_CHECK(part.dim() == parts[0].dim() && part.sizes().slice(1) == parts[0].sizes().slice(1) &&
                    part.device() == parts[0].device(),
                "expected rows like those of ", parts[0].sizes(), ", got ", part.sizes());
  const auto isOurs = [](const at::Tensor& part) { return isFusedType(part.scalar_type()); };
  if (isFusedType(productType(parts[0])) && std::all_of(parts.begin(), parts.end(), isOurs)) return JoinRows::apply(parts);
  return at::cat(parts, 0).to(productType(parts[0]));
}

}  // namespace sled
