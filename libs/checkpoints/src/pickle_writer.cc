// Opcodes as Python's pickletools names them. Only those that PyTorch's restricted unpickler knows are used;
// torch 1.13's lacks BINFLOAT, so a file with a float in it needs torch 2 for weights_only=True, as Python's
// own files do.
#include "pickle_writer.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "ktrdr/core/check.h"

namespace ktrdr::checkpoints {
namespace {

constexpr std::string_view kProtocol2 = "\x80\x02";
constexpr char kStop = '.';
constexpr char kMark = '(';
constexpr char kNone = 'N';
constexpr char kNewTrue = '\x88';
constexpr char kNewFalse = '\x89';
constexpr char kBinInt = 'J';    // 4 bytes, signed
constexpr char kBinInt1 = 'K';   // 1 byte, unsigned
constexpr char kBinInt2 = 'M';   // 2 bytes, unsigned
constexpr char kLong1 = '\x8a';  // a length, then that many bytes, two's complement
constexpr char kBinFloat = 'G';  // 8 bytes, big-endian: the one number of a pickle that is
constexpr char kBinUnicode = 'X';
constexpr char kTuple = 't';
constexpr char kEmptyList = ']';
constexpr char kAppends = 'e';
constexpr char kEmptyDict = '}';
constexpr char kSetItems = 'u';
constexpr char kReduce = 'R';
constexpr char kBinPersId = 'Q';
constexpr std::string_view kEmptyTuple = ")";
constexpr std::string_view kOrderedDict = "ccollections\nOrderedDict\n";
constexpr std::string_view kRebuildTensor = "ctorch._utils\n_rebuild_tensor_v2\n";

std::string_view storage_type(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "ctorch\nFloatStorage\n";
    case DType::kF64: return "ctorch\nDoubleStorage\n";
    case DType::kI64: return "ctorch\nLongStorage\n";
    case DType::kU8: return "ctorch\nByteStorage\n";
  }
  CHECK(false, "every DType has a storage");
}

// Row-major, as PyTorch counts them: an empty dimension counts as one.
std::vector<std::int64_t> strides_of(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(shape[i], 1);
  return strides;
}

class PickleWriter {
 public:
  PickledValue write(const PythonValue& value) {
    text_ += kProtocol2;
    add(value);
    text_ += kStop;
    return {std::move(text_), std::move(storages_)};
  }

 private:
  void add(const PythonValue& value) {
    std::visit([this](const auto& held) { put(held); }, value.value);
  }

  void put(PythonNone) { text_ += kNone; }
  void put(bool value) { text_ += value ? kNewTrue : kNewFalse; }
  void put(double value) {
    text_ += kBinFloat;
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) text_ += static_cast<char>((bits >> shift) & 0xff);
  }

  void put(std::int64_t value) {
    if (value >= 0 && value <= 0xff) return put_integer(kBinInt1, value, 1);
    if (value >= 0 && value <= 0xffff) return put_integer(kBinInt2, value, 2);
    const auto as_32_bits = static_cast<std::int32_t>(value);
    if (as_32_bits == value) return put_integer(kBinInt, value, 4);
    text_ += kLong1;
    put_integer('\x08', value, 8);
  }
  void put_integer(char opcode, std::int64_t value, std::size_t bytes) {
    text_ += opcode;
    append_little_endian(static_cast<std::uint64_t>(value), bytes);
  }
  void append_little_endian(std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) text_ += static_cast<char>((value >> (8 * i)) & 0xff);
  }

  void put(std::string_view value) {
    CHECK(value.size() <= std::numeric_limits<std::uint32_t>::max(), "a text in a .pt file is short");
    text_ += kBinUnicode;
    append_little_endian(value.size(), 4);
    text_ += value;
  }
  void put(const std::string& value) { put(std::string_view(value)); }

  void put(const PythonTuple& tuple) { put_marked(tuple.items, kTuple); }
  void put(const PythonList& list) {
    text_ += kEmptyList;
    put_marked(list.items, kAppends);
  }
  void put_marked(const std::vector<PythonValue>& items, char end) {
    text_ += kMark;
    for (const PythonValue& item : items) add(item);
    text_ += end;
  }

  void put(const PythonDict& dict) {
    if (dict.kind == PythonDict::Kind::kOrderedDict) put_empty_ordered_dict();
    else text_ += kEmptyDict;
    text_ += kMark;
    for (const auto& [key, item] : dict.items) {
      add(key);
      add(item);
    }
    text_ += kSetItems;
  }
  void put_empty_ordered_dict() {
    text_ += kOrderedDict;
    text_ += kEmptyTuple;
    text_ += kReduce;
  }

  // _rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks)
  void put(const TensorView& tensor) {
    CHECK(byte_count(tensor.dtype, tensor.shape) == tensor.bytes.size(), "a tensor's bytes fit its shape");
    text_ += kRebuildTensor;
    text_ += kMark;
    put_storage(tensor);
    put(std::int64_t{0});
    put_numbers(tensor.shape);
    put_numbers(strides_of(tensor.shape));
    put(false);
    put_empty_ordered_dict();
    text_ += kTuple;
    text_ += kReduce;
  }

  // The persistent id of a storage: ("storage", its type, its key under data/, its device, its count of
  // values).
  void put_storage(const TensorView& tensor) {
    text_ += kMark;
    put(std::string_view("storage"));
    text_ += storage_type(tensor.dtype);
    put(std::to_string(storages_.size()));
    put(std::string_view("cpu"));
    put(static_cast<std::int64_t>(tensor.bytes.size() / size_of(tensor.dtype)));
    text_ += kTuple;
    text_ += kBinPersId;
    storages_.push_back(tensor);
  }

  void put_numbers(const std::vector<std::int64_t>& numbers) {
    text_ += kMark;
    for (const std::int64_t number : numbers) put(number);
    text_ += kTuple;
  }

  std::string text_;
  std::vector<TensorView> storages_;
};

}  // namespace

PickledValue pickle(const PythonValue& value) { return PickleWriter().write(value); }

}  // namespace ktrdr::checkpoints
