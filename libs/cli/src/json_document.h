// Small JSON documents that are no wire type: put together from values whose text the api library makes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ktrdr/api/json.h"

namespace ktrdr::cli {

std::string json_string(std::string_view text);  // a JSON string; what is not UTF-8 is replaced

class JsonObject {
 public:
  JsonObject& add(std::string_view name, std::string_view text) { return add_json(name, json_string(text)); }
  JsonObject& add(std::string_view name, std::int64_t number) {
    return add_json(name, std::to_string(number));
  }
  JsonObject& add_json(std::string_view name, std::string_view json);
  std::string text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

template <class T>
std::string json_list(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ",") + api::to_json(value);
  return "[" + text + "]";
}

}  // namespace ktrdr::cli
