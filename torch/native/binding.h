// Turns C++ functions over a Call into functions of the addon. Every C++ exception becomes a JavaScript TorchError.
#pragma once
#include <c10/util/Exception.h>

#include "state.h"

namespace sled {

constexpr size_t kMaxArguments = 7;

struct Call {
  State& state;
  napi_env env;
  const napi_value* values;
  size_t count;

  double number(size_t i) const {
    double value = 0;
    if (i < count) napi_get_value_double(env, values[i], &value);
    return value;
  }
  bool flag(size_t i) const { return number(i) != 0; }
  std::string string(size_t i) const {
    size_t length = 0;
    napi_get_value_string_utf8(env, values[i], nullptr, 0, &length);
    std::string text(length, '\0');
    napi_get_value_string_utf8(env, values[i], text.data(), length + 1, &length);
    return text;
  }
  at::Tensor& tensor(size_t i) const { return state.at(number(i)); }
};

inline napi_value toJs(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}
inline napi_value toJs(napi_env env, uint32_t value) {
  napi_value result;
  napi_create_uint32(env, value, &result);
  return result;
}
inline napi_value toJs(napi_env env, const std::string& value) {
  napi_value result;
  napi_create_string_utf8(env, value.data(), value.size(), &result);
  return result;
}
inline napi_value toJs(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

// The class itself is TypeScript's (`new TorchError(message)`); before it is known, a plain Error.
inline void throwError(State& state, const std::string& text) {
  const std::string message = text.substr(0, text.find('\n'));
  napi_env env = state.env;
  if (!state.errorClass) {
    napi_throw_error(env, nullptr, message.c_str());
    return;
  }
  napi_value constructor, error, argument = toJs(env, message);
  napi_get_reference_value(env, state.errorClass, &constructor);
  if (napi_new_instance(env, constructor, 1, &argument, &error) == napi_ok) napi_throw(env, error);
}

template <napi_value (*function)(Call&)>
napi_value guarded(napi_env env, napi_callback_info info) {
  size_t count = kMaxArguments;
  napi_value values[kMaxArguments];
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, values, nullptr, &data);
  State& state = *static_cast<State*>(data);
  Call call{state, env, values, std::min(count, kMaxArguments)};
  try {
    return function(call);
  } catch (const c10::Error& error) {
    throwError(state, error.what_without_backtrace());
  } catch (const std::exception& error) {
    throwError(state, error.what());
  } catch (...) {
    throwError(state, "an unknown C++ exception");
  }
  return nullptr;
}

template <napi_value (*function)(Call&)>
void define(State& state, napi_value exports, const char* name) {
  napi_value value;
  napi_create_function(state.env, name, NAPI_AUTO_LENGTH, guarded<function>, &state, &value);
  napi_set_named_property(state.env, exports, name, value);
}

}  // namespace sled
