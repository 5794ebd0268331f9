// Threads, floating point and version.
#pragma once
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/util/Logging.h>
#include <torch/csrc/api/include/torch/version.h>

#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 9
#define SLED_DEVICE_STATISTICS
#include <c10/core/CachingDeviceAllocator.h>
#endif

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

// builtWithCuda() -> whether libtorch's part for CUDA is linked, whatever this machine has
static napi_value builtWithCuda(Call& call) { return toJs(call.env, at::globalContext().hasCUDART()); }

static napi_value cudaDevices(Call& call) { return toJs(call.env, static_cast<uint32_t>(at::getNumGPUs())); }

// peakDeviceMemory(index) -> bytes of tensors on that GPU at the most; 0 where this libtorch does not say
static napi_value peakDeviceMemory(Call& call) {
#ifdef SLED_DEVICE_STATISTICS
  const auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(call.number(0)));
  return toJs(call.env, static_cast<double>(stats.allocated_bytes[0].peak));
#else
  return toJs(call.env, 0.0);
#endif
}

static void defineRuntime(State& state, napi_value exports) {
  keepFreedMemory();
  c10::initLogging();  // reads TORCH_CPP_LOG_LEVEL
  // float32 means float32 on a GPU too; products of matrices are not rounded to TF32 by default, convolutions are.
  at::globalContext().setAllowTF32CuDNN(false);
  define<setNumThreads>(state, exports, "setNumThreads");
  define<getNumThreads>(state, exports, "getNumThreads");
  define<setFlushDenormal>(state, exports, "setFlushDenormal");
  define<version>(state, exports, "version");
  define<builtWithCuda>(state, exports, "builtWithCuda");
  define<cudaDevices>(state, exports, "cudaDevices");
  define<peakDeviceMemory>(state, exports, "peakDeviceMemory");
}

}  // namespace sled
