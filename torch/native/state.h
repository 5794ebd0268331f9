// What one Node environment owns: its tensors by handle, its operators by number, and the buffer through which
// arguments and results travel. Nothing here is shared between threads; each worker that loads the addon has its own.
#pragma once
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <node_api.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sled {

// Numbers that cross between JavaScript and C++ in one call; operators with longer lists than this do not exist.
constexpr size_t kBufferLength = 1 << 16;

struct Slot {
  at::Tensor tensor;
  int64_t reportedBytes = 0;  // told to V8, so that its collector knows what a small object holds
};

struct Operator {
  c10::OperatorHandle handle;
  std::string name;
  std::vector<std::string> kinds;     // one code per argument, see kindOf
  std::vector<c10::IValue> defaults;  // None where there is no default
  bool returnsTensor;                 // exactly one result, a tensor: its handle is the call's return value
  bool returnsArgument;               // every result is an argument that was written to: nothing to hand back
};

// References to JavaScript memory under zero-copy tensors. libtorch may drop the last tensor on any thread, but only
// the JavaScript thread may delete a reference, so they wait here until the next call.
struct Released {
  std::mutex mutex;
  std::vector<napi_ref> references;
};

struct State {
  napi_env env;
  napi_ref bufferReference = nullptr;
  napi_ref errorClass = nullptr;
  double* buffer = nullptr;
  std::vector<Slot> slots{1};  // handle 0 means no tensor
  std::vector<uint32_t> vacant;
  std::deque<Operator> operators;
  std::vector<std::string> strings;
  std::vector<at::Generator> generators;
  std::vector<c10::IValue> stack;
  std::shared_ptr<Released> released = std::make_shared<Released>();

  uint32_t keep(at::Tensor tensor) {
    if (!tensor.defined()) return 0;
    if (vacant.empty()) {
      slots.push_back({std::move(tensor), 0});
      return static_cast<uint32_t>(slots.size() - 1);
    }
    const uint32_t handle = vacant.back();
    vacant.pop_back();
    slots[handle].tensor = std::move(tensor);
    return handle;
  }

  at::Tensor& at(double number) {
    const auto handle = static_cast<size_t>(number);
    TORCH_CHECK(handle > 0 && handle < slots.size() && slots[handle].tensor.defined(), "this tensor was freed");
    return slots[handle].tensor;
  }

  void drop(uint32_t handle) {
    Slot& slot = slots[handle];
    report(slot, 0);
    slot.tensor.reset();
    vacant.push_back(handle);
  }

  void report(Slot& slot, int64_t bytes) {
    if (bytes == slot.reportedBytes) return;
    int64_t total;
    napi_adjust_external_memory(env, bytes - slot.reportedBytes, &total);
    slot.reportedBytes = bytes;
  }

  void deleteReleased() {
    std::vector<napi_ref> references;
    {
      const std::lock_guard<std::mutex> lock(released->mutex);
      references.swap(released->references);
    }
    for (napi_ref reference : references) napi_delete_reference(env, reference);
  }
};

}  // namespace sled
