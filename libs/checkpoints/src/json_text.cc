#include "json_text.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace ktrdr::checkpoints {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kDeepest = 3;  // a manifest's list of files: object, array, object

Error bad(std::string_view what) {
  return {ErrorCode::kCheckpointCorrupted, "The JSON " + std::string(what) + "."};
}

// Walks over a text before anything is built from it and stops at the first thing that our texts never hold.
class StrictWalk final : public nlohmann::json_sax<Json> {
 public:
  const std::string& complaint() const { return complaint_; }

  bool null() override { return true; }
  bool boolean(bool) override { return refuse("holds a boolean"); }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kLargest = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    return value <= kLargest || refuse("holds a number over 2^63 - 1");
  }
  bool number_float(number_float_t, const string_t&) override {
    return refuse("holds a number that is no integer");
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return refuse("holds binary data"); }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    return keys_.back().insert(name).second || refuse("has a duplicate key");
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("can't be read at byte " + std::to_string(position));
  }

 private:
  bool enter() {
    if (keys_.size() == kDeepest) return refuse("is nested too deeply");
    keys_.emplace_back();
    return true;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  bool refuse(std::string what) {
    if (complaint_.empty()) complaint_ = std::move(what);
    return false;
  }

  std::vector<std::set<std::string>> keys_;  // of every object and array that is open
  std::string complaint_;
};

// The library takes a NUL for the end of the text and skips a byte order mark; neither belongs in ours.
bool starts_and_reads_plainly(std::string_view text) {
  const auto is_control = [](char c) { return c >= 0 && c < ' ' && c != '\n'; };
  return !text.empty() && text.front() == '{' && std::none_of(text.begin(), text.end(), is_control);
}

Result<Json> parse_strictly(std::string_view text) {
  if (!starts_and_reads_plainly(text)) return bad("does not start with { or holds a control character");
  StrictWalk walk;
  if (!Json::sax_parse(text.begin(), text.end(), &walk)) return bad(walk.complaint());
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return bad("is not an object");
  return json;
}

bool has_exactly(const Json& object, std::span<const std::string_view> fields) {
  if (!object.is_object() || object.size() != fields.size()) return false;
  return std::all_of(fields.begin(), fields.end(), [&](std::string_view f) { return object.contains(f); });
}

bool is_integer_list(const Json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_number_integer(); });
}

bool is_map_of_strings(const Json& value) {
  return value.is_object() &&
         std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
}

Result<TensorEntry> parse_entry(const std::string& name, const Json& value) {
  constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
  if (!has_exactly(value, kFields)) return bad("entry of a tensor must have dtype, shape and data_offsets");
  const Json& offsets = value["data_offsets"];
  if (!value["dtype"].is_string() || !is_integer_list(value["shape"]) || !is_integer_list(offsets) ||
      offsets.size() != 2) {
    return bad("entry of a tensor has a field of a wrong type");
  }
  return TensorEntry{name, value["dtype"].get<std::string>(), value["shape"].get<std::vector<std::int64_t>>(),
                     offsets[0].get<std::int64_t>(), offsets[1].get<std::int64_t>()};
}

Error bad_field(std::string_view field) { return bad("field '" + std::string(field) + "' is not valid"); }

// Reads the fields of one object; the first that is missing or of a wrong type is remembered and named.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  std::int64_t integer(const char* name, std::int64_t least = 0) {
    const Json& value = at(name);
    if (!value.is_number_integer() || value.get<std::int64_t>() < least) return fail(name), 0;
    return value.get<std::int64_t>();
  }
  std::string text(const char* name) {
    const Json& value = at(name);
    if (!value.is_string()) return fail(name), std::string();
    return value.get<std::string>();
  }
  std::map<std::string, std::string> texts(const char* name) {
    const Json& value = at(name);
    if (!is_map_of_strings(value)) return fail(name), std::map<std::string, std::string>();
    return value.get<std::map<std::string, std::string>>();
  }
  template <class Value>
  Value parsed(const char* name, std::optional<Value> (*parse)(std::string_view)) {
    const auto value = parse(text(name));
    if (!value) return fail(name), Value{};
    return *value;
  }
  const Json& at(const char* name) {
    static const Json kNothing;
    const auto place = object_.find(name);
    return place == object_.end() ? kNothing : *place;
  }
  void fail(const char* name) {
    if (bad_.empty()) bad_ = name;
  }
  Result<void> finish() const {
    if (!bad_.empty()) return bad_field(bad_);
    return {};
  }

 private:
  const Json& object_;
  std::string bad_;
};

std::optional<OperationId> parse_operation(std::string_view text) {
  if (!is_valid_id(text)) return std::nullopt;
  return OperationId{std::string(text)};
}

Result<FileEntry> parse_file(const Json& value) {
  constexpr std::string_view kFields[] = {"name", "size", "xxh3_128"};
  if (!has_exactly(value, kFields)) return bad_field("files");
  Fields fields(value);
  const FileEntry file{fields.text("name"), static_cast<std::uint64_t>(fields.integer("size")),
                       fields.text("xxh3_128")};
  TRY(fields.finish());
  return file;
}

Result<std::vector<FileEntry>> parse_files(const Json& list) {
  if (!list.is_array()) return bad_field("files");
  std::vector<FileEntry> files;
  for (const Json& value : list) {
    TRY_ASSIGN(FileEntry file, parse_file(value));
    files.push_back(std::move(file));
  }
  return files;
}

OrderedJson ref_to_json(const std::optional<CheckpointRef>& ref) {
  return ref ? OrderedJson(ref->to_string()) : OrderedJson(nullptr);
}

}  // namespace

std::string write_tensor_entries(std::span<const TensorEntry> entries) {
  OrderedJson header = OrderedJson::object();
  for (const TensorEntry& entry : entries) {
    OrderedJson& value = header[entry.name];
    value["dtype"] = entry.dtype;
    value["shape"] = entry.shape;
    value["data_offsets"] = {entry.begin, entry.end};
  }
  return header.dump();
}

Result<std::vector<TensorEntry>> parse_tensor_entries(std::string_view text) {
  TRY_ASSIGN(const Json header, parse_strictly(text));
  std::vector<TensorEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!is_map_of_strings(value)) return bad_field(name);
      continue;
    }
    TRY_ASSIGN(TensorEntry entry, parse_entry(name, value));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::string> write_manifest_json(const Manifest& manifest) {
  OrderedJson json;
  json["format_version"] = manifest.format_version;
  json["operation"] = manifest.operation.value;
  json["checkpoint"] = manifest.ref.to_string();
  json["parent"] = ref_to_json(manifest.parent);
  json["checkpoint_type"] = to_string(manifest.checkpoint_type);
  json["epoch"] = manifest.epoch;
  json["start_epoch"] = manifest.start_epoch;
  json["start_batch"] = manifest.start_batch;
  json["global_step"] = manifest.global_step;
  json["identity"] = manifest.identity;
  json["files"] = OrderedJson::array();
  for (const FileEntry& file : manifest.files) {
    json["files"].push_back({{"name", file.name}, {"size", file.size}, {"xxh3_128", file.xxh3_128}});
  }
  try {
    return json.dump(2);
  } catch (const nlohmann::json::exception&) {
    return Error(ErrorCode::kInvalidArgument, "The checkpoint's identity holds text that is not UTF-8.");
  }
}

Result<ManifestJson> parse_manifest_json(std::string_view text) {
  constexpr std::string_view kFields[] = {"format_version",  "operation", "checkpoint",  "parent",
                                          "checkpoint_type", "epoch",     "start_epoch", "start_batch",
                                          "global_step",     "identity",  "files",       "self"};
  TRY_ASSIGN(const Json json, parse_strictly(text));
  Fields fields(json);
  const std::int64_t version = fields.integer("format_version", 1);
  TRY(fields.finish());
  if (version > kManifestVersion) {
    return Error(ErrorCode::kUnsupported, "The checkpoint has format version " + std::to_string(version) +
                                              "; use the newer ktrdr that wrote it.");
  }
  if (!has_exactly(json, kFields)) return bad("has a missing or an unknown field");
  ManifestJson result;
  Manifest& manifest = result.manifest;
  manifest.operation = fields.parsed<OperationId>("operation", parse_operation);
  manifest.ref = fields.parsed<CheckpointRef>("checkpoint", CheckpointRef::parse);
  if (!json["parent"].is_null())
    manifest.parent = fields.parsed<CheckpointRef>("parent", CheckpointRef::parse);
  manifest.checkpoint_type = fields.parsed<CheckpointType>("checkpoint_type", parse_checkpoint_type);
  manifest.epoch = fields.integer("epoch", -1);
  manifest.start_epoch = fields.integer("start_epoch");
  manifest.start_batch = fields.integer("start_batch");
  manifest.global_step = fields.integer("global_step");
  manifest.identity = fields.texts("identity");
  result.self = fields.text("self");
  TRY(fields.finish());
  TRY_ASSIGN(manifest.files, parse_files(json["files"]));
  return result;
}

}  // namespace ktrdr::checkpoints
