// Where the time goes: libtorch calls back around every operator, those of the backward pass included.
#pragma once
#include <ATen/record_function.h>

#include <chrono>
#include <map>
#include <sstream>

#include "binding.h"

namespace sled {

struct Cost {
  int64_t calls = 0;
  double seconds = 0;  // without the operators that it called
};

// Of one thread: the backward pass of CPU tensors runs on the thread that starts it.
struct Profile {
  std::map<std::string, Cost> costs;
  std::vector<double> inner;  // seconds in operators called by each open one
  at::CallbackHandle handle = 0;
};
thread_local Profile profile;

struct Timer : at::ObserverContext {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

static std::unique_ptr<at::ObserverContext> openOperator(const at::RecordFunction&) {
  profile.inner.push_back(0);
  return std::make_unique<Timer>();
}

static void closeOperator(const at::RecordFunction& function, at::ObserverContext* context) {
  if (profile.inner.empty()) return;
  const auto start = static_cast<Timer*>(context)->start;
  const double total = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Cost& cost = profile.costs[function.name()];
  cost.calls++;
  cost.seconds += total - profile.inner.back();
  profile.inner.pop_back();
  if (!profile.inner.empty()) profile.inner.back() += total;
}

static napi_value startProfile(Call&) {
  TORCH_CHECK(profile.handle == 0, "profile: already running");
  profile.costs.clear();
  profile.inner.clear();
  const auto scopes = std::unordered_set<at::RecordScope>{at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION};
  profile.handle = at::addThreadLocalCallback(at::RecordFunctionCallback(openOperator, closeOperator).scopes(scopes));
  return nullptr;
}

// stopProfile() -> "name calls seconds" by line
static napi_value stopProfile(Call& call) {
  if (profile.handle != 0) at::removeCallback(profile.handle);
  profile.handle = 0;
  std::ostringstream text;
  for (const auto& [name, cost] : profile.costs) text << name << '\t' << cost.calls << '\t' << cost.seconds << '\n';
  return toJs(call.env, text.str());
}

static void defineProfile(State& state, napi_value exports) {
  define<startProfile>(state, exports, "startProfile");
  define<stopProfile>(state, exports, "stopProfile");
}

}  // namespace sled
