// Generators of the CPU. Number 0 is libtorch's default one, which operators use when none is named; seeding it seeds those
// of GPUs too, which dropout uses there.
#pragma once
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include "binding.h"

namespace sled {

static at::Generator& generatorAt(Call& call, size_t i) {
  return call.state.generators.at(static_cast<size_t>(call.number(i)));
}

static napi_value createGenerator(Call& call) {
  auto& generators = call.state.generators;
  size_t place = 0;
  while (place < generators.size() && generators[place].defined()) place++;
  if (place == generators.size()) generators.emplace_back();
  generators[place] = at::detail::createCPUGenerator(static_cast<uint64_t>(call.number(0)));
  return toJs(call.env, static_cast<uint32_t>(place));
}

static napi_value freeGenerator(Call& call) {
  generatorAt(call, 0) = at::Generator();
  return nullptr;
}

static void seedDevices(uint64_t seed) {
  for (size_t i = 0; i < at::getNumGPUs(); i++) {
    at::Generator generator = at::globalContext().defaultGenerator({at::kCUDA, static_cast<c10::DeviceIndex>(i)});
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(seed);
  }
}

// seed(generator, seed)
static napi_value seed(Call& call) {
  at::Generator& generator = generatorAt(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(static_cast<uint64_t>(call.number(1)));
  if (call.number(0) == 0) seedDevices(static_cast<uint64_t>(call.number(1)));
  return nullptr;
}

// generatorState(generator) -> handle of a uint8 tensor
static napi_value generatorState(Call& call) {
  at::Generator& generator = generatorAt(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return toJs(call.env, call.state.keep(generator.get_state()));
}

static napi_value setGeneratorState(Call& call) {
  at::Generator& generator = generatorAt(call, 0);
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(call.tensor(1));
  return nullptr;
}

static void defineRandom(State& state, napi_value exports) {
  state.generators.push_back(at::detail::getDefaultCPUGenerator());
  define<createGenerator>(state, exports, "createGenerator");
  define<freeGenerator>(state, exports, "freeGenerator");
  define<seed>(state, exports, "seed");
  define<generatorState>(state, exports, "generatorState");
  define<setGeneratorState>(state, exports, "setGeneratorState");
}

}  // namespace sled
