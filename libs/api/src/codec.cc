#include "codec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

namespace ktrdr::api::internal {
namespace {

constexpr std::size_t kDeepest = 32;

// Builds the document as the library's own reader does, but refuses what that one takes: it keeps the last of
// two equal keys, and recurses as deep as the text says.
class StrictBuilder final : public nlohmann::json_sax<Json> {
 public:
  Json take() { return std::move(root_); }
  const std::optional<Error>& refusal() const { return refusal_; }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return refuse("The body is not valid JSON."); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    auto& members = open_.back()->get_ref<Json::object_t&>();
    const auto is_equal = [&](const auto& member) { return member.first == name; };
    if (std::any_of(members.begin(), members.end(), is_equal)) {
      return refuse("The JSON names a key twice; remove one of the two.");
    }
    members.push_back({std::move(name), nullptr});
    return true;
  }

  // The library's text ends with a quotation of the input, which we don't repeat; its start says where.
  bool parse_error(std::size_t, const std::string&, const Json::exception& bad) override {
    const std::string what = bad.what();
    const auto at = what.find("at line");
    const auto end = what.find(':', at);
    const std::string where = at == std::string::npos ? "" : " (" + what.substr(at, end - at) + ")";
    return refuse("The body is not valid JSON" + where + ".");
  }

 private:
  Json* place(Json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    Json& around = *open_.back();
    if (around.is_array()) return &around.get_ref<Json::array_t&>().emplace_back(std::move(value));
    return &(around.get_ref<Json::object_t&>().back().second = std::move(value));
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  // Nothing is added to a list or an object while one of its elements is open, so no address here goes stale.
  bool open(Json value) {
    if (open_.size() == kDeepest) return refuse("The JSON is nested deeper than 32 levels.");
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool refuse(const std::string& why) {
    refusal_ = Error(ErrorCode::kInvalidArgument, why);
    return false;
  }

  Json root_;
  std::vector<Json*> open_;
  std::optional<Error> refusal_;
};

}  // namespace

Result<Json> parse(std::string_view text) {
  // The library takes a NUL for the end of the text: what follows would be accepted unread.
  if (text.find('\0') != std::string_view::npos) {
    return Error(ErrorCode::kInvalidArgument, "The body is not valid JSON: it holds a NUL byte.");
  }
  StrictBuilder builder;
  if (Json::sax_parse(text, &builder)) return builder.take();
  return *builder.refusal();
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
std::size_t depth_of(const Json& json) {
  std::size_t deepest = 0;
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

Json parse_own(const std::string& text) {
  Json parsed = Json::parse(text, nullptr, false);
  CHECK(!parsed.is_discarded(), "our own JSON is valid");
  return parsed;
}

std::string pretty(const std::string& text) { return dump(parse_own(text), 2) + "\n"; }

namespace {
bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }
}  // namespace

void write(bool value, std::string& text) { text += value ? "true" : "false"; }

void write(std::int64_t value, std::string& text) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.begin(), digits.end(), value);
  text.append(digits.data(), end.ptr);
}

// The shortest digits that read back as the same number; without an exponent where people would not write
// one.
void write(double value, std::string& text) {
  if (!std::isfinite(value)) return static_cast<void>(text += "null");
  constexpr double kSmallest = 1e-5, kLargest = 1e15;
  const double size = std::abs(value);
  const bool is_common = value == 0 || (size >= kSmallest && size < kLargest);
  std::array<char, 32> digits;
  const auto end = is_common ? std::to_chars(digits.begin(), digits.end(), value, std::chars_format::fixed)
                             : std::to_chars(digits.begin(), digits.end(), value);
  const std::string_view written(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()));
  text += written;
  if (written.find_first_of(".e") == std::string_view::npos) text += ".0";  // still no whole number
}

// Nearly all of our texts need no escape.
void write(const std::string& value, std::string& text) {
  if (std::all_of(value.begin(), value.end(), is_plain)) text.append("\"").append(value).append("\"");
  else text += dump(Json(value), -1);
}

void write(const JsonText& value, std::string& text) { text += value.text; }

void write(const CheckpointRef& value, std::string& text) { write(value.to_string(), text); }

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
  return internal::pretty(value.text);
}

std::string member_of(const JsonText& object, std::string_view name) {
  const Json json = internal::parse_own(object.text);
  const auto found = json.is_object() ? json.find(name) : json.end();
  if (!json.is_object() || found == json.end()) return "";
  return found->is_string() ? found->get<std::string>() : internal::dump(*found, -1);
}

}  // namespace ktrdr::api
