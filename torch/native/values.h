// Between an operator's schema and the shared buffer of numbers.
#pragma once
#include "state.h"

namespace sled {

// One code per argument type. Tensors, generators and strings travel as their number in State, lists as their length
// and then their elements; a '?' in front allows null.
inline std::string kindOf(const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::OptionalType: return "?" + kindOf(type->castRaw<c10::OptionalType>()->getElementType());
    case c10::TypeKind::ListType: return "[" + kindOf(type->castRaw<c10::ListType>()->getElementType());
    case c10::TypeKind::TensorType: return "tensor";
    case c10::TypeKind::NumberType: return "scalar";
    case c10::TypeKind::FloatType: return "float";
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType: return "int";
    case c10::TypeKind::BoolType: return "bool";
    case c10::TypeKind::StringType: return "string";
    case c10::TypeKind::ScalarTypeType: return "dtype";
    case c10::TypeKind::LayoutType: return "layout";
    case c10::TypeKind::MemoryFormatType: return "memoryFormat";
    case c10::TypeKind::DeviceObjType: return "device";
    case c10::TypeKind::GeneratorType: return "generator";
    default: return "unsupported " + type->str();
  }
}

// JavaScript has one kind of number: a whole one is an integer scalar, which never changes a tensor's dtype.
inline at::Scalar scalarOf(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value == std::floor(value) && std::abs(value) < kExact && !(value == 0 && std::signbit(value)))
    return at::Scalar(static_cast<int64_t>(value));
  return at::Scalar(value);
}

class Reader {
 public:
  explicit Reader(State& state) : state_(state) {}
  double next() {
    TORCH_CHECK(position_ < kBufferLength, "too many arguments for one call");
    return state_.buffer[position_++];
  }
  c10::IValue value(std::string_view kind) {
    if (kind[0] == '?') return next() == 0 ? c10::IValue() : value(kind.substr(1));
    if (kind[0] == '[') return list(kind.substr(1));
    if (kind == "tensor") return tensor();
    const double number = next();
    if (kind == "scalar") return scalarOf(number);
    if (kind == "float") return number;
    if (kind == "bool") return number != 0;
    if (kind == "string") return state_.strings.at(static_cast<size_t>(number));
    if (kind == "device") return c10::Device(state_.strings.at(static_cast<size_t>(number)));
    if (kind == "generator") return state_.generators.at(static_cast<size_t>(number));
    return static_cast<int64_t>(number);  // int, dtype, layout, memoryFormat
  }

 private:
  at::Tensor tensor() {
    const double handle = next();
    return handle == 0 ? at::Tensor() : state_.at(handle);
  }
  template <class Element, class Read>
  c10::List<Element> read(Read element) {
    c10::List<Element> list;
    const auto length = static_cast<size_t>(next());
    list.reserve(length);
    for (size_t i = 0; i < length; i++) list.push_back(element());
    return list;
  }
  c10::IValue list(std::string_view kind) {
    if (kind == "tensor") return read<at::Tensor>([this] { return tensor(); });
    if (kind == "?tensor")
      return read<std::optional<at::Tensor>>([this]() -> std::optional<at::Tensor> {
        if (next() == 0) return std::nullopt;
        return tensor();
      });
    if (kind == "float") return read<double>([this] { return next(); });
    if (kind == "bool") return read<bool>([this] { return next() != 0; });
    if (kind == "int") return read<int64_t>([this] { return static_cast<int64_t>(next()); });
    TORCH_CHECK(false, "lists of ", std::string(kind), " are not supported");
  }
  State& state_;
  size_t position_ = 0;
};

// Results are written with a tag in front: 0 nothing, 1 tensor, 2 list of tensors, 3 number, 4 boolean, 5 list of numbers.
class Writer {
 public:
  explicit Writer(State& state) : state_(state) {}
  void value(const c10::IValue& value) {
    if (value.isTensor()) return tensor(value.toTensor());
    if (value.isTensorList()) {
      const auto tensors = value.toTensorVector();
      put(2), put(static_cast<double>(tensors.size()));
      for (const auto& element : tensors) put(state_.keep(element));
      return;
    }
    if (value.isBool()) return put(4), put(value.toBool());
    if (value.isInt()) return put(3), put(static_cast<double>(value.toInt()));
    if (value.isDouble()) return put(3), put(value.toDouble());
    if (value.isScalar()) return put(3), put(value.toScalar().toDouble());
    if (value.isIntList()) {
      const auto numbers = value.toIntVector();
      put(5), put(static_cast<double>(numbers.size()));
      for (const int64_t number : numbers) put(static_cast<double>(number));
      return;
    }
    put(0);
  }

 private:
  void tensor(const at::Tensor& tensor) {
    if (!tensor.defined()) return put(0);
    put(1), put(state_.keep(tensor));
  }
  void put(double number) {
    TORCH_CHECK(position_ < kBufferLength, "too many results for one call");
    state_.buffer[position_++] = number;
  }
  State& state_;
  size_t position_ = 0;
};

}  // namespace sled
