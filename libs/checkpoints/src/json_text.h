// The two JSON texts of a checkpoint, as plain values: a safetensors header and a manifest. The only file of
// this library that knows a JSON library is json_text.cc. Both readers refuse duplicate keys, unknown or
// missing fields, nesting beyond what the text needs, numbers that are not exact integers, and control
// characters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/checkpoints/manifest.h"
#include "ktrdr/core/result.h"

namespace ktrdr::checkpoints {

// One entry of a safetensors header; nothing but the JSON's shape has been checked.
struct TensorEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0;  // data_offsets: bytes after the header
  std::int64_t end = 0;
};

std::string write_tensor_entries(std::span<const TensorEntry> entries);  // compact, in the order given

// An entry `__metadata__` of strings, which the format allows, is checked and left out.
Result<std::vector<TensorEntry>> parse_tensor_entries(std::string_view text);

// Without the digest that ends a manifest. kInvalidArgument for text that is not UTF-8.
Result<std::string> write_manifest_json(const Manifest& manifest);

struct ManifestJson {
  Manifest manifest;
  std::string self;
};

Result<ManifestJson> parse_manifest_json(std::string_view text);

}  // namespace ktrdr::checkpoints
