#include "ktrdr/checkpoints/tensor_map.h"

#include <algorithm>
#include <array>
#include <limits>

#include "ktrdr/checkpoints/tensor_copy.h"
#include "ktrdr/core/check.h"

namespace ktrdr::checkpoints {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<DTypeRow, 4> kDTypes = {{
    {DType::kF32, "F32", 4},
    {DType::kF64, "F64", 8},
    {DType::kI64, "I64", 8},
    {DType::kU8, "U8", 1},
}};

const DTypeRow& row_of(DType dtype) {
  const auto row =
      std::find_if(kDTypes.begin(), kDTypes.end(), [&](const DTypeRow& r) { return r.dtype == dtype; });
  CHECK(row != kDTypes.end(), "every DType has a row");
  return *row;
}

bool is_name_character(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

Error missing(std::string_view name) {
  return {ErrorCode::kCheckpointCorrupted, "The tensor '" + std::string(name) + "' is missing."};
}

template <class Value>
std::array<std::int64_t, 1> length_of(std::span<const Value> values) {
  return {static_cast<std::int64_t>(values.size())};
}

}  // namespace

std::size_t size_of(DType dtype) { return row_of(dtype).size; }
std::string_view to_string(DType dtype) { return row_of(dtype).name; }

std::optional<DType> parse_dtype(std::string_view text) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == text) return row.dtype;
  }
  return std::nullopt;
}

bool is_tensor_name(std::string_view text) {
  return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), is_name_character) &&
         text != "__metadata__";
}

std::optional<std::uint64_t> byte_count(DType dtype, std::span<const std::int64_t> shape) {
  // Zero sizes don't excuse an overflow before them: [2^62, 2^62, 0] is refused, as the reference does.
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return std::nullopt;
  }
  if (__builtin_mul_overflow(count, static_cast<std::int64_t>(size_of(dtype)), &count)) return std::nullopt;
  return static_cast<std::uint64_t>(count);
}

const TensorView* find_tensor(std::span<const TensorView> tensors, std::string_view name) {
  const auto place =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const TensorView& t, std::string_view wanted) { return t.name < wanted; });
  return place != tensors.end() && place->name == name ? &*place : nullptr;
}

// Without a value: whoever calls it gives it one.
TensorMap::Tensor& TensorMap::resize(std::string_view name, DType dtype,
                                     std::span<const std::int64_t> shape) {
  CHECK(is_tensor_name(name), "tensor names are printable ASCII");
  const auto bytes = byte_count(dtype, shape);
  CHECK(bytes.has_value(), "a tensor in memory has a size that memory can hold");
  auto place = tensors_.find(name);
  if (place == tensors_.end()) place = tensors_.emplace(std::string(name), Tensor{}).first;
  Tensor& tensor = place->second;
  tensor.dtype = dtype;
  tensor.shape.assign(shape.begin(), shape.end());
  tensor.bytes.resize(*bytes);
  return tensor;
}

std::span<std::byte> TensorMap::add(std::string_view name, DType dtype, std::span<const std::int64_t> shape) {
  const std::span<std::byte> bytes = resize(name, dtype, shape).bytes;
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  return bytes;
}

void TensorMap::put(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                    std::span<const std::byte> bytes) {
  copy_bytes({bytes, resize(name, dtype, shape).bytes});
}

void TensorMap::put_f32(std::string_view name, std::span<const float> values) {
  put(name, DType::kF32, length_of(values), std::as_bytes(values));
}
void TensorMap::put_f64(std::string_view name, std::span<const double> values) {
  put(name, DType::kF64, length_of(values), std::as_bytes(values));
}
void TensorMap::put_i64(std::string_view name, std::span<const std::int64_t> values) {
  put(name, DType::kI64, length_of(values), std::as_bytes(values));
}
void TensorMap::put_u8(std::string_view name, std::span<const std::uint8_t> values) {
  put(name, DType::kU8, length_of(values), std::as_bytes(values));
}
void TensorMap::put_scalar(std::string_view name, double value) {
  put(name, DType::kF64, {}, std::as_bytes(std::span(&value, 1)));
}
void TensorMap::put_scalar(std::string_view name, std::int64_t value) {
  put(name, DType::kI64, {}, std::as_bytes(std::span(&value, 1)));
}

std::optional<TensorView> TensorMap::find(std::string_view name) const {
  const auto place = tensors_.find(name);
  if (place == tensors_.end()) return std::nullopt;
  const Tensor& tensor = place->second;
  return TensorView{place->first, tensor.dtype, tensor.shape, tensor.bytes};
}

std::vector<TensorView> TensorMap::views() const {
  std::vector<TensorView> views;
  views.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_)
    views.push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
  return views;
}

std::span<std::byte> TensorMap::mutable_bytes(std::string_view name) {
  const auto place = tensors_.find(name);
  CHECK(place != tensors_.end(), "whoever fills a tensor in has added it");
  return place->second.bytes;
}

template <class Value>
Result<std::span<const Value>> TensorMap::values(std::string_view name, DType dtype) const {
  const auto place = tensors_.find(name);
  if (place == tensors_.end()) return missing(name);
  const Tensor& tensor = place->second;
  if (tensor.dtype != dtype) {
    return Error(ErrorCode::kCheckpointCorrupted, "The tensor '" + std::string(name) + "' is " +
                                                      std::string(to_string(tensor.dtype)) + ", not " +
                                                      std::string(to_string(dtype)) + ".");
  }
  // operator new aligns the vector's memory for every Value here.
  return std::span(reinterpret_cast<const Value*>(tensor.bytes.data()), tensor.bytes.size() / sizeof(Value));
}

Result<std::span<const float>> TensorMap::f32(std::string_view name) const {
  return values<float>(name, DType::kF32);
}
Result<std::span<const double>> TensorMap::f64(std::string_view name) const {
  return values<double>(name, DType::kF64);
}
Result<std::span<const std::int64_t>> TensorMap::i64(std::string_view name) const {
  return values<std::int64_t>(name, DType::kI64);
}
Result<std::span<const std::uint8_t>> TensorMap::u8(std::string_view name) const {
  return values<std::uint8_t>(name, DType::kU8);
}

namespace {

template <class Value>
Result<Value> only_value(std::string_view name, Result<std::span<const Value>> values) {
  if (!values.ok()) return std::move(values).error();
  if (values->size() == 1) return values->front();
  return Error(ErrorCode::kCheckpointCorrupted, "The tensor '" + std::string(name) + "' holds " +
                                                    std::to_string(values->size()) +
                                                    " values instead of one.");
}

}  // namespace

Result<double> TensorMap::f64_scalar(std::string_view name) const { return only_value(name, f64(name)); }
Result<std::int64_t> TensorMap::i64_scalar(std::string_view name) const {
  return only_value(name, i64(name));
}

bool TensorMap::has_layout_of(const TensorMap& other) const {
  return std::equal(tensors_.begin(), tensors_.end(), other.tensors_.begin(), other.tensors_.end(),
                    [](const auto& a, const auto& b) {
                      return a.first == b.first && a.second.dtype == b.second.dtype &&
                             a.second.shape == b.second.shape;
                    });
}

void TensorMap::assign_from(std::span<const TensorView> others) {
  const auto is_known = [this](const TensorView& tensor) { return contains(tensor.name); };
  if (size() != others.size() || !std::all_of(others.begin(), others.end(), is_known)) tensors_.clear();
  std::vector<TensorCopy> copies;
  for (const TensorView& other : others)
    copies.push_back({other.bytes, resize(other.name, other.dtype, other.shape).bytes});
  copy_in_parallel(copies);
}

void TensorMap::assign_from(const TensorMap& other) {
  if (!has_layout_of(other)) {
    *this = other;
    return;
  }
  auto target = tensors_.begin();
  for (const auto& [name, tensor] : other.tensors_) copy_bytes({tensor.bytes, (target++)->second.bytes});
}

}  // namespace ktrdr::checkpoints
