#include "codec.h"

#include <algorithm>
#include <set>

namespace ktrdr::api::internal {
namespace {

constexpr int kDeepest = 32;

// nlohmann keeps the last of two equal keys and recurses as deep as the text says; both are refused here, by
// a scan of what the parser meets.
struct StrictnessGuard {
  std::vector<std::set<std::string>> keys;

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest)
      throw Error(ErrorCode::kInvalidArgument, "The JSON is nested deeper than 32 levels.");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw Error(ErrorCode::kInvalidArgument, "The JSON names a key twice; remove one of the two.");
    }
    return true;
  }
};

}  // namespace

Result<Json> parse(std::string_view text) {
  // The library takes a NUL for the end of the text: what follows would be accepted unread.
  if (text.find('\0') != std::string_view::npos) {
    return Error(ErrorCode::kInvalidArgument, "The body is not valid JSON: it holds a NUL byte.");
  }
  StrictnessGuard guard;
  try {
    return Json::parse(text, std::ref(guard));
  } catch (const Error& refused) {
    return refused;
  } catch (const Json::exception& bad) {
    // The library's text ends with a quotation of the input, which we don't repeat; its start says where.
    const std::string what = bad.what();
    const auto at = what.find("at line");
    const auto end = what.find(':', at);
    const std::string where = at == std::string::npos ? "" : " (" + what.substr(at, end - at) + ")";
    return Error(ErrorCode::kInvalidArgument, "The body is not valid JSON" + where + ".");
  }
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Result<void> read(const Json& json, const Reader& reader, bool& value) {
  if (!json.is_boolean()) return reader.wrong("true or false");
  value = json.get<bool>();
  return {};
}

Result<void> read(const Json& json, const Reader& reader, std::int64_t& value) {
  const bool fits =
      json.is_number_integer() &&
      (!json.is_number_unsigned() || json.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  if (!fits) return reader.wrong("a whole number");
  value = json.get<std::int64_t>();
  return {};
}

Result<void> read(const Json& json, const Reader& reader, double& value) {
  if (!json.is_number() || !std::isfinite(json.get<double>())) return reader.wrong("a number");
  value = json.get<double>();
  return {};
}

Result<void> read(const Json& json, const Reader& reader, std::string& value) {
  if (!json.is_string()) return reader.wrong("a text");
  value = json.get<std::string>();
  if (value.find('\0') != std::string::npos) return reader.wrong("a text without NUL");
  return {};
}

namespace {
int depth_of(const Json& json) {
  int deepest = 0;
  for (const Json& child : json) deepest = std::max(deepest, json.is_structured() ? depth_of(child) : 0);
  return deepest + 1;
}
}  // namespace

// Shallower than a document may be, because it goes out again inside another one.
Result<void> read(const Json& json, const Reader& reader, JsonText& value) {
  if (depth_of(json) > kDeepest / 2) return reader.wrong("JSON of at most 16 levels");
  value.text = dump(json, -1);
  return {};
}

Result<void> read(const Json& json, const Reader& reader, CheckpointRef& value) {
  const auto ref = json.is_string() ? CheckpointRef::parse(json.get_ref<const std::string&>()) : std::nullopt;
  if (!ref) return reader.wrong("a checkpoint's name such as \"1-7\" (attempt and sequence)");
  value = *ref;
  return {};
}

Result<void> refuse_unknown_keys(const Json& json, const Reader& reader, std::span<const char* const> known) {
  if (reader.unknown == UnknownKeys::kIgnore) return {};
  for (const auto& [key, ignored] : json.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string names;
    for (const char* name : known) names += (names.empty() ? "" : ", ") + std::string(name);
    return Error(ErrorCode::kInvalidArgument,
                 reader.name() + " has a key that is not known here; known are: " + names + ".");
  }
  return {};
}

Json write(const JsonText& value) {
  Json parsed = Json::parse(value.text, nullptr, false);
  CHECK(!parsed.is_discarded(), "a JsonText holds valid JSON");
  return parsed;
}

Json write(const CheckpointRef& value) { return value.to_string(); }

}  // namespace ktrdr::api::internal

namespace ktrdr::api {

using internal::Json;

template <>
Result<JsonText> from_json<JsonText>(std::string_view text, UnknownKeys) {
  TRY_ASSIGN(const Json json, internal::parse(text));
  return JsonText{internal::dump(json, -1)};
}

template <>
std::string to_json<JsonText>(const JsonText& value) {
  return value.text;
}

template <>
std::string to_pretty_json<JsonText>(const JsonText& value) {
  return internal::dump(internal::write(value), 2) + "\n";
}

std::string member_of(const JsonText& object, std::string_view name) {
  const Json json = internal::write(object);
  const auto found = json.is_object() ? json.find(name) : json.end();
  if (!json.is_object() || found == json.end()) return "";
  return found->is_string() ? found->get<std::string>() : internal::dump(*found, -1);
}

}  // namespace ktrdr::api
