// Threads, floating point and version.
#pragma once
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/util/Logging.h>
#include <torch/csrc/api/include/torch/version.h>

#include "binding.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace sled {

// A training step frees and asks again for the same large blocks. By default glibc hands them back to the kernel each
// time, and clearing the new pages costs a tenth of the step; here freed memory stays with the process.
static void keepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
#endif
}

static napi_value setNumThreads(Call& call) {
  at::set_num_threads(static_cast<int>(call.number(0)));
  return nullptr;
}

static napi_value getNumThreads(Call& call) { return toJs(call.env, static_cast<uint32_t>(at::get_num_threads())); }

static napi_value setFlushDenormal(Call& call) { return toJs(call.env, at::globalContext().setFlushDenormal(call.flag(0))); }

static napi_value version(Call& call) { return toJs(call.env, std::string(TORCH_VERSION)); }

static napi_value hasCuda(Call& call) { return toJs(call.env, at::globalContext().hasCUDA()); }

static void defineRuntime(State& state, napi_value exports) {
  keepFreedMemory();
  c10::initLogging();  // reads TORCH_CPP_LOG_LEVEL
  define<setNumThreads>(state, exports, "setNumThreads");
  define<getNumThreads>(state, exports, "getNumThreads");
  define<setFlushDenormal>(state, exports, "setFlushDenormal");
  define<version>(state, exports, "version");
  define<hasCuda>(state, exports, "hasCuda");
}

}  // namespace sled
