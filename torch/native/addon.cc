// libtorch for Node: any ATen operator by its schema, with the few things that are not operators beside it.
// One translation unit on purpose: nearly all of the compile time is libtorch's headers.
#include "autograd.h"
#include "binding.h"
#include "data.h"
#include "group.h"
#include "kernels.h"
#include "operators.h"
#include "profile.h"
#include "random.h"
#include "runtime.h"

namespace sled {

static napi_value sharedBuffer(Call& call) {
  napi_value array, memory;
  napi_get_reference_value(call.env, call.state.bufferReference, &memory);
  napi_create_typedarray(call.env, napi_float64_array, kBufferLength, memory, 0, &array);
  return array;
}

static napi_value setErrorClass(Call& call) {
  napi_create_reference(call.env, call.values[0], 1, &call.state.errorClass);
  return nullptr;
}

static State* createState(napi_env env) {
  auto* state = new State{env};
  napi_value memory;
  void* data = nullptr;
  napi_create_arraybuffer(env, kBufferLength * sizeof(double), &data, &memory);
  napi_create_reference(env, memory, 1, &state->bufferReference);
  state->buffer = static_cast<double*>(data);
  napi_set_instance_data(env, state, [](napi_env, void* pointer, void*) { delete static_cast<State*>(pointer); }, nullptr);
  return state;
}

}  // namespace sled

NAPI_MODULE_INIT() {
  using namespace sled;
  State& state = *createState(env);
  define<sharedBuffer>(state, exports, "sharedBuffer");
  define<setErrorClass>(state, exports, "setErrorClass");
  defineOperators(state, exports);
  defineData(state, exports);
  defineAutograd(state, exports);
  defineGroup(state, exports);
  defineRandom(state, exports);
  defineProfile(state, exports);
  defineRuntime(state, exports);
  return exports;
}
