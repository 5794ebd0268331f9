// Tensors from and to JavaScript's memory, and their release.
#pragma once
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "binding.h"

namespace sled {

struct View {
  void* data = nullptr;
  size_t bytes = 0;
};

static View viewOf(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length = 0;
  View view;
  TORCH_CHECK(napi_get_typedarray_info(env, value, &type, &length, &view.data, nullptr, nullptr) == napi_ok,
              "expected a typed array");
  constexpr size_t kSizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};  // in the order of napi_typedarray_type
  TORCH_CHECK(type < std::size(kSizes), "this kind of typed array is not supported");
  view.bytes = length * kSizes[type];
  return view;
}

static std::vector<int64_t> bufferShape(const State& state, size_t rank) {
  return {state.buffer, state.buffer + rank};
}

static at::Tensor borrow(Call& call, const View& view, at::IntArrayRef shape, at::TensorOptions options) {
  napi_ref reference;
  napi_create_reference(call.env, call.values[0], 1, &reference);
  auto release = [released = call.state.released, reference](void*) {
    const std::lock_guard<std::mutex> lock(released->mutex);
    released->references.push_back(reference);
  };
  return at::from_blob(view.data, shape, std::move(release), options);
}

// create(typed array, dtype, rank, copy): the shape is in the buffer.
static napi_value create(Call& call) {
  call.state.deleteReleased();
  const View view = viewOf(call.env, call.values[0]);
  const auto shape = bufferShape(call.state, static_cast<size_t>(call.number(2)));
  const auto options = at::TensorOptions(static_cast<at::ScalarType>(call.number(1)));
  const size_t needed = c10::multiply_integers(shape) * options.dtype().itemsize();
  TORCH_CHECK(needed == view.bytes, "expected ", needed, " bytes for shape ", at::IntArrayRef(shape), ", got ", view.bytes);
  if (!call.flag(3)) return toJs(call.env, call.state.keep(borrow(call, view, shape, options)));
  at::Tensor tensor = at::empty(shape, options);
  if (needed) std::memcpy(tensor.data_ptr(), view.data, needed);
  return toJs(call.env, call.state.keep(std::move(tensor)));
}

// read(handle, typed array, dtype): the elements in row-major order, as that dtype.
static napi_value read(Call& call) {
  const View view = viewOf(call.env, call.values[1]);
  const auto dtype = static_cast<at::ScalarType>(call.number(2));
  const at::Tensor source = call.tensor(0).detach().resolve_conj().resolve_neg().to(at::kCPU, dtype).contiguous();
  TORCH_CHECK(source.nbytes() == view.bytes, "expected room for ", source.nbytes(), " bytes, got ", view.bytes);
  if (view.bytes) std::memcpy(view.data, source.const_data_ptr(), view.bytes);
  return nullptr;
}

static napi_value item(Call& call) { return toJs(call.env, call.tensor(0).item().toDouble()); }

// describe(handle): dtype, device, rank and sizes into the buffer; returns the device's name.
static napi_value describe(Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  double* out = call.state.buffer;
  *out++ = static_cast<double>(tensor.scalar_type());
  *out++ = static_cast<double>(tensor.dim());
  for (const int64_t size : tensor.sizes()) *out++ = static_cast<double>(size);
  return toJs(call.env, tensor.is_cpu() ? "cpu" : tensor.device().str());
}

// free(count): the handles in the buffer.
static napi_value freeTensors(Call& call) {
  const auto count = static_cast<size_t>(call.number(0));
  for (size_t i = 0; i < count; i++) call.state.drop(static_cast<uint32_t>(call.state.buffer[i]));
  return nullptr;
}

// report(handle): tell V8 about the memory of a tensor that only its collector may free.
static napi_value report(Call& call) {
  const at::Tensor& tensor = call.tensor(0);
  call.state.report(call.state.slots[static_cast<size_t>(call.number(0))], static_cast<int64_t>(tensor.nbytes()));
  return nullptr;
}

// What V8's collector has been told of in all; `process.memoryUsage().external` does not contain it.
static napi_value externalMemory(Call& call) {
  int64_t total;
  napi_adjust_external_memory(call.env, 0, &total);
  return toJs(call.env, static_cast<double>(total));
}

static napi_value liveTensors(Call& call) {
  return toJs(call.env, static_cast<uint32_t>(call.state.slots.size() - 1 - call.state.vacant.size()));
}

static void defineData(State& state, napi_value exports) {
  define<create>(state, exports, "create");
  define<read>(state, exports, "read");
  define<item>(state, exports, "item");
  define<describe>(state, exports, "describe");
  define<freeTensors>(state, exports, "free");
  define<report>(state, exports, "report");
  define<externalMemory>(state, exports, "externalMemory");
  define<liveTensors>(state, exports, "liveTensors");
}

}  // namespace sled
