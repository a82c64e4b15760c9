#include "ktrdr/http/message.h"

#include "ktrdr/core/check.h"
#include "text.h"

namespace ktrdr::http {
namespace {

std::optional<std::string_view> find(const StringMap& map, std::string_view name) {
  const auto entry = map.find(name);
  if (entry == map.end()) return std::nullopt;
  return entry->second;
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kGet: return "GET";
    case Method::kPost: return "POST";
    case Method::kPut: return "PUT";
    case Method::kPatch: return "PATCH";
    case Method::kDelete: return "DELETE";
  }
  return "";
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (equal_ignoring_case(header.name, name)) return header.value;
  }
  return std::nullopt;
}

const std::string& Request::parameter(std::string_view name) const {
  const auto entry = parameters.find(name);
  CHECK(entry != parameters.end(), "a handler asks only for names in its route's pattern");
  return entry->second;
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  return find(query, name);
}

}  // namespace ktrdr::http
