// Gates, forward and backward in one pass each, in float32 inside. Elsewhere than on the CPU in float32 or bfloat16 they
// are libtorch's operators.
#pragma once
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "lines.h"
#include "norms.h"

namespace sled {

SLED_LANES void swigluRow(const float* gate, const float* up, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = gate[i] * sigmoidOf(gate[i]) * up[i];
}
SLED_LANES void swigluGradient(const float* gate, const float* up, const float* given, float* forGate, float* forUp,
                               int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const float x = gate[i], sigmoid = sigmoidOf(x), g = given[i];
    forUp[i] = g * x * sigmoid;
    forGate[i] = g * up[i] * sigmoid * (1 + x * (1 - sigmoid));
  }
}

struct Swiglu : torch::autograd::Function<Swiglu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input) {
    const at::Tensor x = asLines(input);
    auto sizes = x.sizes().vec();
    sizes.back() /= 2;
    at::Tensor out = at::empty(sizes, x.options());
    const Lines from(x), to(out);
    const int64_t F = to.width;
    forLines(rowsOf(x), 3 * F, [&](int64_t row, float* buffer) {
      const float* line = from.read(row, buffer);
      swigluRow(line, line + F, to.write(row, buffer + 2 * F), F);
      to.written(row, buffer + 2 * F);
    });
    context->save_for_backward({x});
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0], given = asLines(gradients[0]);
    at::Tensor out = at::empty(x.sizes(), x.options());
    const Lines from(x), gradient(given), to(out);
    const int64_t F = gradient.width;
    forLines(rowsOf(x), 5 * F, [&](int64_t row, float* buffer) {
      const float *line = from.read(row, buffer), *g = gradient.read(row, buffer + 2 * F);
      float* own = to.write(row, buffer + 3 * F);
      swigluGradient(line, line + F, g, own, own + F, F);
      to.written(row, buffer + 3 * F);
    });
    return {out};
  }
};

SLED_LANES void gatedAddRow(const float* x, const float* gate, const float* y, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = x[i] + gate[i] * y[i];
}
SLED_LANES void gatedAddGradient(const float* given, const float* gate, const float* y, float* forGate, float* forY,
                                 int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    const float g = given[i];
    forGate[i] = g * y[i];
    forY[i] = g * gate[i];
  }
}

struct GatedAdd : torch::autograd::Function<GatedAdd> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
    const at::Tensor base = asLines(x), gates = asLines(gate), values = asLines(y);
    at::Tensor out = at::empty(x.sizes(), x.options());
    const Lines from(base), by(gates), of(values), to(out);
    const int64_t W = from.width;
    forLines(rowsOf(base), 4 * W, [&](int64_t row, float* buffer) {
      const float *a = from.read(row, buffer), *g = by.read(row, buffer + W), *v = of.read(row, buffer + 2 * W);
      gatedAddRow(a, g, v, to.write(row, buffer + 3 * W), W);
      to.written(row, buffer + 3 * W);
    });
    context->save_for_backward({gates, values});
    return out;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &gates = saved[0], &values = saved[1], given = asLines(gradients[0]);
    at::Tensor forGate = at::empty(gates.sizes(), gates.options()), forValue = at::empty(values.sizes(), values.options());
    const Lines from(given), by(gates), of(values), toGate(forGate), toValue(forValue);
    const int64_t W = from.width;
    forLines(rowsOf(given), 5 * W, [&](int64_t row, float* buffer) {
      const float *d = from.read(row, buffer), *g = by.read(row, buffer + W), *v = of.read(row, buffer + 2 * W);
      float *ownGate = buffer + 3 * W, *own = buffer + 4 * W;
      gatedAddGradient(d, g, v, toGate.write(row, ownGate), toValue.write(row, own), W);
      toGate.written(row, ownGate);
      toValue.written(row, own);
    });
    return {gradients[0], forGate, forValue};
  }
};

// silu(gate) * up, x [.., 2F]: gate, then up -> [.., F]
static at::Tensor swiglu(const at::Tensor& x) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) % 2 == 0,
              "expected gates and as many values in the last dimension, got ", x.sizes());
  if (isFused(x)) return Swiglu::apply(x);
  const auto parts = x.chunk(2, -1);
  return at::silu(parts[0]) * parts[1];
}

// x + gate * y, in x's type
static at::Tensor gatedAdd(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  TORCH_CHECK(gate.sizes() == x.sizes() && y.sizes() == x.sizes(),
              "expected three tensors of one shape, got ", x.sizes(), ", ", gate.sizes(), " and ", y.sizes());
  if (isFused(x) && isFused(gate) && isFused(y)) return GatedAdd::apply(x, gate, y);
  return (x + gate * y).to(x.scalar_type());
}

}  // namespace sled
