// Named tensors as plain memory: what a checkpoint holds, without a tensor library. All values are
// little-endian and row-major, as in a safetensors file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

enum class DType { kF32, kF64, kI64, kU8 };

std::size_t size_of(DType dtype);         // bytes of one value
std::string_view to_string(DType dtype);  // safetensors' name: "F32"
std::optional<DType> parse_dtype(std::string_view text);

// 1 to 256 printable ASCII characters without quote and backslash, and not "__metadata__". PyTorch's
// parameter names fit.
bool is_tensor_name(std::string_view text);

// The bytes of a tensor of this shape ([] is one value); nothing for a negative size or a product over 2^63
// - 1.
std::optional<std::uint64_t> byte_count(DType dtype, std::span<const std::int64_t> shape);

// One tensor in memory that somebody else owns.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// Of tensors in the order of their names; null when there is none of this name.
const TensorView* find_tensor(std::span<const TensorView> tensors, std::string_view name);

// A vector's memory that is not zeroed before it is filled in.
struct UninitializedBytes : std::allocator<std::byte> {
  template <class>
  struct rebind {
    using other = UninitializedBytes;
  };
  template <class Value>
  void construct(Value*) {}
  template <class Value, class... Arguments>
  void construct(Value* place, Arguments&&... arguments) {
    std::construct_at(place, std::forward<Arguments>(arguments)...);
  }
};

// Owns tensors under their names, in the order of the names. Memory once taken is kept: giving a tensor a new
// value of the same dtype and shape, and assign_from() a map of the same layout, allocate nothing, so a
// trainer can take its snapshot into warm memory. Not safe for use from several threads without a lock.
class TensorMap {
 public:
  // Adds a tensor of zeros, or makes zeros of this dtype and shape of what there is, and lends its memory to
  // be filled in. The memory stays valid until the tensor is added again with another size.
  std::span<std::byte> add(std::string_view name, DType dtype, std::span<const std::int64_t> shape);

  // Adds a tensor or gives it a new value.
  void put(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
           std::span<const std::byte> bytes);
  void put_f32(std::string_view name, std::span<const float> values);  // shape [n]
  void put_f64(std::string_view name, std::span<const double> values);
  void put_i64(std::string_view name, std::span<const std::int64_t> values);
  void put_u8(std::string_view name, std::span<const std::uint8_t> values);
  void put_scalar(std::string_view name, double value);  // shape []
  void put_scalar(std::string_view name, std::int64_t value);

  std::size_t size() const { return tensors_.size(); }
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  std::optional<TensorView> find(std::string_view name) const;
  std::vector<TensorView> views() const;                      // in the order of the names
  std::span<std::byte> mutable_bytes(std::string_view name);  // the tensor must exist

  // The values of a tensor, typed, lent until the tensor changes. kCheckpointCorrupted when it is missing or
  // of another dtype; a scalar must hold exactly one value.
  Result<std::span<const float>> f32(std::string_view name) const;
  Result<std::span<const double>> f64(std::string_view name) const;
  Result<std::span<const std::int64_t>> i64(std::string_view name) const;
  Result<std::span<const std::uint8_t>> u8(std::string_view name) const;
  Result<double> f64_scalar(std::string_view name) const;
  Result<std::int64_t> i64_scalar(std::string_view name) const;

  bool has_layout_of(const TensorMap& other) const;      // the same names, dtypes and shapes
  void assign_from(const TensorMap& other);              // becomes equal to `other`
  void assign_from(std::span<const TensorView> others);  // the same; no two may have one name
  bool operator==(const TensorMap& other) const =
      default;  // bits, so NaN equals itself and 0.0 differs from -0.0

 private:
  struct Tensor {
    DType dtype = DType::kF32;
    std::vector<std::int64_t> shape;
    std::vector<std::byte, UninitializedBytes> bytes;
    bool operator==(const Tensor&) const = default;
  };

  Tensor& resize(std::string_view name, DType dtype, std::span<const std::int64_t> shape);

  template <class Value>
  Result<std::span<const Value>> values(std::string_view name, DType dtype) const;

  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace ktrdr::checkpoints
