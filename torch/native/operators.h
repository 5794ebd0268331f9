// Finding and calling operators.
#pragma once
#include "binding.h"
#include "values.h"

namespace sled {

static bool isWritten(const c10::Argument& argument) { return argument.alias_info() && argument.alias_info()->isWrite(); }

static Operator describeOperator(c10::OperatorHandle handle, std::string name) {
  const auto& schema = handle.schema();
  Operator op{handle, std::move(name), {}, {}, false, false};
  for (const auto& argument : schema.arguments()) {
    op.kinds.push_back(kindOf(argument.real_type()));
    op.defaults.push_back(argument.default_value().value_or(c10::IValue()));
  }
  const auto& returns = schema.returns();
  op.returnsArgument = std::all_of(returns.begin(), returns.end(), isWritten);
  op.returnsTensor = returns.size() == 1 && returns[0].type()->kind() == c10::TypeKind::TensorType && !op.returnsArgument;
  return op;
}

// Where each result is an argument written to, the positions of those arguments.
static std::string writtenArguments(const c10::FunctionSchema& schema) {
  std::string positions;
  for (const auto& result : schema.returns()) {
    if (!isWritten(result)) continue;
    for (size_t i = 0; i < schema.arguments().size(); i++) {
      const auto& argument = schema.arguments()[i];
      if (isWritten(argument) && argument.alias_info()->beforeSets() == result.alias_info()->beforeSets())
        positions += (positions.empty() ? "" : ",") + std::to_string(i);
    }
  }
  return positions;
}

// find(name, overload) -> "number|returnsTensor|returnsArgument|written|result count|name:kind:hasDefault|…"
static napi_value find(Call& call) {
  const std::string name = call.string(0), overload = call.string(1);
  auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  TORCH_CHECK(handle, "libtorch has no operator ", name, overload.empty() ? "" : ".", overload);
  const auto& schema = handle->schema();
  call.state.operators.push_back(describeOperator(*handle, overload.empty() ? name : name + "." + overload));
  const Operator& op = call.state.operators.back();
  std::string text = std::to_string(call.state.operators.size() - 1) + (op.returnsTensor ? "|1" : "|0") +
                     (op.returnsArgument ? "|1|" : "|0|") + writtenArguments(schema) + "|" +
                     std::to_string(schema.returns().size());
  for (size_t i = 0; i < op.kinds.size(); i++) {
    const auto& argument = schema.arguments()[i];
    text += "|" + argument.name() + ":" + op.kinds[i] + (argument.default_value() ? ":1" : ":0");
  }
  return toJs(call.env, text);
}

// run(operator, argument count): arguments are in the buffer, each after a 1, or a 0 for its default.
// Returns the handle of a single tensor result; any other results are in the buffer.
static napi_value run(Call& call) {
  State& state = call.state;
  Operator& op = state.operators.at(static_cast<size_t>(call.number(0)));
  const auto given = static_cast<size_t>(call.number(1));
  state.stack.clear();
  Reader reader(state);
  try {
    for (size_t i = 0; i < op.kinds.size(); i++) {
      if (i < given && reader.next() != 0) state.stack.push_back(reader.value(op.kinds[i]));
      else state.stack.push_back(op.defaults[i]);
    }
    op.handle.callBoxed(&state.stack);
    uint32_t handle = 0;
    if (op.returnsTensor) {
      handle = state.keep(std::move(state.stack[0]).toTensor());
    } else if (!op.returnsArgument) {
      Writer writer(state);
      for (const auto& result : state.stack) writer.value(result);
    }
    state.stack.clear();
    return toJs(call.env, handle);
  } catch (const c10::Error& error) {
    state.stack.clear();
    throw std::runtime_error(op.name + ": " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    state.stack.clear();
    throw std::runtime_error(op.name + ": " + error.what());
  }
}

// intern(text) -> the number that stands for it in calls.
static napi_value intern(Call& call) {
  call.state.strings.push_back(call.string(0));
  return toJs(call.env, static_cast<uint32_t>(call.state.strings.size() - 1));
}

// operators(prefix) -> every registered name that starts so, "name.overload", by line.
static napi_value operatorNames(Call& call) {
  const std::string prefix = call.string(0);
  std::string text;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.name.compare(0, prefix.size(), prefix) != 0) continue;
    text += name.name + (name.overload_name.empty() ? "" : "." + name.overload_name) + "\n";
  }
  return toJs(call.env, text);
}

static void defineOperators(State& state, napi_value exports) {
  define<find>(state, exports, "find");
  define<run>(state, exports, "run");
  define<intern>(state, exports, "intern");
  define<operatorNames>(state, exports, "operatorNames");
}

}  // namespace sled
