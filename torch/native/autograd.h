// Gradients and the thread's modes: no-grad and autocast.
#pragma once
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>

#include "binding.h"

namespace sled {

// backward(handle, gradient or 0, retainGraph)
static napi_value backward(Call& call) {
  const at::Tensor gradient = call.number(1) == 0 ? at::Tensor() : call.tensor(1);
  const at::Tensor root = call.tensor(0);
  root.backward(gradient, call.flag(2));
  return nullptr;
}

static napi_value grad(Call& call) { return toJs(call.env, call.state.keep(call.tensor(0).grad())); }

static napi_value setGrad(Call& call) {
  const at::Tensor gradient = call.number(1) == 0 ? at::Tensor() : call.tensor(1);
  call.tensor(0).mutable_grad() = gradient;
  return nullptr;
}

static napi_value requiresGrad(Call& call) { return toJs(call.env, call.tensor(0).requires_grad()); }

static napi_value setRequiresGrad(Call& call) {
  call.tensor(0).set_requires_grad(call.flag(1));
  return nullptr;
}

// setGradMode(enabled) -> what it was
static napi_value setGradMode(Call& call) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(call.flag(0));
  return toJs(call.env, before);
}

constexpr at::DeviceType kAutocastDevices[] = {at::kCPU, at::kCUDA};

// enterAutocast(dtype, or -1 for none) -> the dtype before, or -1. Leave with leaveAutocast(that).
static napi_value enterAutocast(Call& call) {
  namespace autocast = at::autocast;
  const double before =
      autocast::is_autocast_enabled(at::kCPU) ? static_cast<double>(autocast::get_autocast_dtype(at::kCPU)) : -1;
  for (const auto device : kAutocastDevices) {
    autocast::set_autocast_enabled(device, call.number(0) >= 0);
    if (call.number(0) >= 0) autocast::set_autocast_dtype(device, static_cast<at::ScalarType>(call.number(0)));
  }
  autocast::increment_nesting();
  return toJs(call.env, before);
}

static napi_value leaveAutocast(Call& call) {
  namespace autocast = at::autocast;
  for (const auto device : kAutocastDevices) {
    autocast::set_autocast_enabled(device, call.number(0) >= 0);
    if (call.number(0) >= 0) autocast::set_autocast_dtype(device, static_cast<at::ScalarType>(call.number(0)));
  }
  // Casts of parameters are kept while in autocast; outside, an optimiser may change what they were cast from.
  if (autocast::decrement_nesting() == 0) autocast::clear_cache();
  return nullptr;
}

static void defineAutograd(State& state, napi_value exports) {
  define<backward>(state, exports, "backward");
  define<grad>(state, exports, "grad");
  define<setGrad>(state, exports, "setGrad");
  define<requiresGrad>(state, exports, "requiresGrad");
  define<setRequiresGrad>(state, exports, "setRequiresGrad");
  define<setGradMode>(state, exports, "setGradMode");
  define<enterAutocast>(state, exports, "enterAutocast");
  define<leaveAutocast>(state, exports, "leaveAutocast");
}

}  // namespace sled
