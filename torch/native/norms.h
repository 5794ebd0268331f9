// Norms of rows with what follows them, forward and backward in one pass each, in float32 inside. Results have the type
// that products take (autocast's). Elsewhere than on the CPU in float32 or bfloat16 they are libtorch's operators.
#pragma once
#include <ATen/autocast_mode.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "lines.h"

namespace sled {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Moments {
  float mean, scale;  // scale: 1 / sqrt(variance + eps)
};

SLED_LANES Moments layerMoments(const float* x, int64_t n, float eps) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += x[i];
  const float mean = sum / static_cast<float>(n);
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, 1 / std::sqrt(squares / static_cast<float>(n) + eps)};
}

SLED_LANES Moments squareMoments(const float* x, int64_t n, float eps) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < n; i++) squares += x[i] * x[i];
  return {0, 1 / std::sqrt(squares / static_cast<float>(n) + eps)};
}

// The gradient of x from that of its norm y: scale * (h - mean(h) - y * mean(h * y)); without mean(h) where x's is kept.
SLED_LANES void normGradient(const float* x, const float* h, float* out, int64_t n, Moments moments, bool centred) {
  float sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (int64_t i = 0; i < n; i++) sum += h[i], product += h[i] * (x[i] - moments.mean);
  const float mean = centred ? sum / static_cast<float>(n) : 0;
  const float along = product / static_cast<float>(n) * moments.scale * moments.scale;
  for (int64_t i = 0; i < n; i++) out[i] = moments.scale * (h[i] - mean - (x[i] - moments.mean) * along);
}

// What stands between a norm's rows y and the result; `h` is the gradient of y.
SLED_LANES void scaleNorm(const float* x, const float* weight, float* out, int64_t n, Moments moments) {
  for (int64_t i = 0; i < n; i++) out[i] = x[i] * moments.scale * weight[i];
}
SLED_LANES void scaleNormGradient(const float* x, const float* weight, const float* given, float* h, float* forWeight,
                                  int64_t n, Moments moments) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    forWeight[i] += given[i] * x[i] * moments.scale;
    h[i] = given[i] * weight[i];
  }
}

SLED_LANES void siluNorm(const float* x, const float* weight, const float* bias, float* out, int64_t n, Moments moments) {
  for (int64_t i = 0; i < n; i++) {
    const float u = (x[i] - moments.mean) * moments.scale * weight[i] + bias[i];
    out[i] = u * sigmoidOf(u);
  }
}
// sums: of the weight's gradient and, behind it, of the bias's
SLED_LANES void siluNormGradient(const float* x, const float* weight, const float* bias, const float* given, float* h,
                                 float* sums, int64_t n, Moments moments) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const float y = (x[i] - moments.mean) * moments.scale;
    const float u = y * weight[i] + bias[i];
    const float sigmoid = sigmoidOf(u);
    const float inner = given[i] * sigmoid * (1 + u * (1 - sigmoid));
    sums[i] += inner * y;
    sums[n + i] += inner;
    h[i] = inner * weight[i];
  }
}

SLED_LANES void modulateNorm(const float* x, const float* shift, const float* scale, float* out, int64_t n,
                             Moments moments) {
  for (int64_t i = 0; i < n; i++) out[i] = (x[i] - moments.mean) * moments.scale * (1 + scale[i]) + shift[i];
}
SLED_LANES void modulateNormGradient(const float* x, const float* scale, const float* given, float* h, float* forScale,
                                     int64_t n, Moments moments) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    forScale[i] = given[i] * (x[i] - moments.mean) * moments.scale;
    h[i] = given[i] * (1 + scale[i]);
  }
}

// The type that products take.
inline at::ScalarType productType(const at::Tensor& x) {
  return at::autocast::is_autocast_enabled(x.device().type()) ? at::autocast::get_autocast_dtype(x.device().type())
                                                              : x.scalar_type();
}
inline bool fusesProductType(const at::Tensor& x) { return isFused(x) && isFusedType(productType(x)); }

inline int64_t rowsOf(const at::Tensor& x) { return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1); }
inline at::Tensor emptyLike(const at::Tensor& x, at::ScalarType type) {
  return at::empty(x.sizes(), x.options().dtype(type));
}
inline at::Tensor asFloats(const at::Tensor& x) { return x.to(at::kFloat).contiguous(); }

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, double eps) {
    const at::Tensor x = asLines(input), scales = asFloats(weight);
    at::Tensor out = emptyLike(input, productType(input));
    const Lines from(x), to(out);
    const int64_t W = from.width;
    const float* w = scales.const_data_ptr<float>();
    forLines(rowsOf(x), 2 * W, [&](int64_t row, float* buffer) {
      const float* line = from.read(row, buffer);
      scaleNorm(line, w, to.write(row, buffer + W), W, squareMoments(line, W, static_cast<float>(eps)));
      to.written(row, buffer + W);
    });
    context->save_for_backward({x, weight});
    context->saved_data["eps"] = eps;
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], scales = asFloats(saved[1]), given = asLines(gradients[0]);
    const auto eps = static_cast<float>(context->saved_data["eps"].toDouble());
    at::Tensor out = emptyLike(x, x.scalar_type());
    const Lines from(x), gradient(given), to(out);
    const int64_t W = from.width;
    const float* w = scales.const_data_ptr<float>();
    const at::Tensor sums = sumOverRows(rowsOf(x), 1, W, 4 * W, [&](int64_t row, float* sum, float* buffer) {
      const float* line = from.read(row, buffer);
      const float* g = gradient.read(row, buffer + W);
      float* h = buffer + 2 * W;
      const Moments moments = squareMoments(line, W, eps);
      scaleNormGradient(line, w, g, h, sum, W, moments);
      normGradient(line, h, to.write(row, buffer + 3 * W), W, moments, false);
      to.written(row, buffer + 3 * W);
    });
    return {out, sums.select(0, 0).to(saved[1].scalar_type()), at::Tensor()};
  }
};

struct SiluNorm : torch::autograd::Function<SiluNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, double eps) {
    const at::Tensor x = asLines(input), scales = asFloats(weight), shifts = asFloats(bias);
    at::Tensor out = emptyLike(input, productType(input));
    const Lines from(x), to(out);
    const int64_t W = from.width;
    const float *w = scales.const_data_ptr<float>(), *b = shifts.const_data_ptr<float>();
    forLines(rowsOf(x), 2 * W, [&](int64_t row, float* buffer) {
      const float* line = from.read(row, buffer);
      siluNorm(line, w, b, to.write(row, buffer + W), W, layerMoments(line, W, static_cast<float>(eps)));
      to.written(row, buffer + W);
    });
    context->save_for_backward({x, weight, bias});
    context->saved_data["eps"] = eps;
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], scales = asFloats(saved[1]), shifts = asFloats(saved[2]);
    const at::Tensor given = asLines(gradients[0]);
    const auto eps = static_cast<float>(context->saved_data["eps"].toDouble());
    at::Tensor out = emptyLike(x, x.scalar_type());
    const Lines from(x), gradient(given), to(out);
    const int64_t W = from.width;
    const float *w = scales.const_data_ptr<float>(), *b = shifts.const_data_ptr<float>();
    const at::Tensor sums = sumOverRows(rowsOf(x), 2, W, 4 * W, [&](int64_t row, float* sum, float* buffer) {
      const float* line = from.read(row, buffer);
      const float* g = gradient.read(row, buffer + W);
      float* h = buffer + 2 * W;
      const Moments moments = layerMoments(line, W, eps);
      siluNormGradient(line, w, b, g, h, sum, W, moments);
      normGradient(line, h, to.write(row, buffer + 3 * W), W, moments, true);
      to.written(row, buffer + 3 * W);
    });
    const auto type = saved[1].scalar_type();
    return {out, sums.select(0, 0).to(type), sums.select(0, 1).to(type), at::Tensor()};
  }
};

struct ModulatedNorm : torch::autograd::Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& shift,
                            const at::Tensor& scale, double eps) {
    const at::Tensor x = asLines(input), shifts = asLines(shift), scales = asLines(scale);
    at::Tensor out = emptyLike(input, productType(input));
    const Lines from(x), by(scales), plus(shifts), to(out);
    const int64_t W = from.width;
    forLines(rowsOf(x), 4 * W, [&](int64_t row, float* buffer) {
      const float* line = from.read(row, buffer);
      const float *s = by.read(row, buffer + 2 * W), *b = plus.read(row, buffer + 3 * W);
      modulateNorm(line, b, s, to.write(row, buffer + W), W, layerMoments(line, W, static_cast<float>(eps)));
      to.written(row, buffer + W);
    });
    context->save_for_backward({x, scales});
    context->saved_data["eps"] = eps;
    context->saved_data["type"] = static_cast<int64_t>(shift.scalar_type());
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scales = saved[1], given = asLines(gradients[0]);
    const auto eps = static_cast<float>(context->saved_data["eps"].toDouble());
    at::Tensor out = emptyLike(x, x.scalar_type()), forScale = emptyLike(scales, scales.scalar_type());
    const Lines from(x), by(scales), gradient(given), to(out), toScale(forScale);
    const int64_t W = from.width;
    forLines(rowsOf(x), 6 * W, [&](int64_t row, float* buffer) {
      const float* line = from.read(row, buffer);
      const float *g = gradient.read(row, buffer + W), *s = by.read(row, buffer + 2 * W);
      float *h = buffer + 3 * W, *ownScale = buffer + 4 * W, *own = buffer + 5 * W;
      const Moments moments = layerMoments(line, W, eps);
      modulateNormGradient(line, s, g, h, toScale.write(row, ownScale), W, moments);
      toScale.written(row, ownScale);
      normGradient(line, h, to.write(row, own), W, moments, true);
      to.written(row, own);
    });
    const auto shiftType = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {out, gradients[0].to(shiftType), forScale, at::Tensor()};
  }
};

static void checkWidth(const at::Tensor& x, const at::Tensor& weight) {
  TORCH_CHECK(weight.dim() == 1 && x.dim() > 0 && weight.size(0) == x.size(-1),
              "expected a weight for each of the last dimension of ", x.sizes(), ", got ", weight.sizes());
}

// x / sqrt(mean(x^2) + eps) * weight
static at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  checkWidth(x, weight);
  if (fusesProductType(x)) return RmsNorm::apply(x, weight, eps);
  return at::rms_norm(x, {x.size(-1)}, weight, eps).to(productType(x));
}

// silu(LN(x) * weight + bias)
static at::Tensor normSilu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  checkWidth(x, weight);
  checkWidth(x, bias);
  if (fusesProductType(x)) return SiluNorm::apply(x, weight, bias, eps);
  return at::silu(at::layer_norm(x, {x.size(-1)}, weight, bias, eps)).to(productType(x));
}

// LN(x) * (1 + scale) + shift
static at::Tensor modulatedNorm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps) {
  TORCH_CHECK(shift.sizes() == x.sizes() && scale.sizes() == x.sizes(),
              "expected shift and scale of ", x.sizes(), ", got ", shift.sizes(), " and ", scale.sizes());
  if (fusesProductType(x)) return ModulatedNorm::apply(x, shift, scale, eps);
  return (at::layer_norm(x, {x.size(-1)}, {}, {}, eps) * (scale + 1) + shift).to(productType(x));
}

}  // namespace sled
