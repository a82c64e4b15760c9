// Writes PyTorch's file format (.pt), so that Python opens what we trained with `torch.load()`. There is no
// reader: nothing in this system ever unpickles.
//
// A .pt file is a zip without compression:
//
//   archive/data.pkl   the value, as a pickle of protocol 2 in which each tensor names its storage by number
//   archive/byteorder  "little"
//   archive/data/0…    the storages: a tensor's bytes each, beginning at multiples of 64 in the file
//   archive/version    "3\n"
//
// The pickle holds no memo and, of all that a pickle may call, only collections.OrderedDict,
// torch._utils._rebuild_tensor_v2 and torch's storage types, which `weights_only=True` accepts. Equal values
// give equal bytes: no time, no random id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ktrdr/checkpoints/tensor_map.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

struct PythonValue;
struct PythonItem;

struct PythonNone {};
struct PythonTuple {
  std::vector<PythonValue> items;
};
struct PythonList {
  std::vector<PythonValue> items;
};

// In the order in which Python will iterate.
struct PythonDict {
  enum class Kind { kDict, kOrderedDict };  // OrderedDict is what state_dict() of a module returns
  Kind kind = Kind::kDict;
  std::vector<PythonItem> items;
};

// What a .pt file can hold. A tensor's bytes are borrowed and must not change until the file is written.
struct PythonValue {
  std::variant<PythonNone, bool, std::int64_t, double, std::string, TensorView, PythonTuple, PythonList,
               PythonDict>
      value;
};

struct PythonItem {
  PythonValue key, value;
};

// The bytes of one .pt file; owns everything but the tensors' bytes.
class PytorchFile {
 public:
  // kTooLarge from 4 GiB on: a plain zip can't say such sizes. `tensor.bytes` must fit its shape (CHECK).
  static Result<PytorchFile> of(const PythonValue& value);

  std::vector<std::span<const std::byte>> pieces() const;  // in file order; valid while this object is
  std::uint64_t size() const { return size_; }             // bytes

 private:
  friend class ZipWriter;

  // Either borrowed, or the next `own` bytes of own_. Not a span of own_, which would dangle after a move.
  struct Piece {
    std::size_t own = 0;
    std::span<const std::byte> borrowed;
  };

  std::string own_;
  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
};

}  // namespace ktrdr::checkpoints
