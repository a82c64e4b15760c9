#include "ktrdr/checkpoints/manifest.h"

#include <algorithm>

#include "json_text.h"
#include "ktrdr/checkpoints/artifacts.h"
#include "ktrdr/checkpoints/file_content.h"
#include "ktrdr/core/digest.h"

namespace ktrdr::checkpoints {
namespace {

// A manifest ends with `,\n  "self": "` + 32 digits + `"\n}\n`. The digest covers everything before its own
// digits, and what follows them is fixed, so there is no byte that could change unseen.
constexpr std::string_view kBeforeSelf = ",\n  \"self\": \"";
constexpr std::string_view kAfterSelf = "\"\n}\n";
constexpr std::size_t kDigits = 32;

bool is_digest(std::string_view text) {
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string digest_of(std::string_view text) { return xxh3_128_hex(std::as_bytes(std::span(text))); }

// What is wrong with a manifest whose fields all have the right types; empty when nothing is.
std::string_view find_fault(const Manifest& manifest) {
  const auto names_itself = [](const FileEntry& f) {
    return !is_file_name(f.name) || f.name == kManifestFile;
  };
  const auto not_ascending = [](const FileEntry& a, const FileEntry& b) { return a.name >= b.name; };
  const auto& files = manifest.files;
  if (!is_valid_id(manifest.operation.value)) return "has an operation id that is not valid";
  if (manifest.ref.attempt < 0 || manifest.ref.sequence < 0) return "has a negative attempt or sequence";
  if (manifest.epoch < -1 || manifest.start_epoch < 0 || manifest.start_batch < 0 || manifest.global_step < 0)
    return "has a negative position";
  if (std::any_of(files.begin(), files.end(), names_itself))
    return "names a file that no checkpoint may have";
  if (std::adjacent_find(files.begin(), files.end(), not_ascending) != files.end())
    return "does not list its files once each, by name";
  if (!std::all_of(files.begin(), files.end(), [](const FileEntry& f) { return is_digest(f.xxh3_128); }))
    return "has a digest that is not 32 hex digits";
  return {};
}

Error corrupted(std::string_view what) {
  return {ErrorCode::kCheckpointCorrupted, "manifest.json " + std::string(what) + "."};
}

// The text that the digest covers, once the digest has been found right.
Result<std::string> check_self(std::string_view text) {
  if (text.size() < kBeforeSelf.size() + kDigits + kAfterSelf.size() || text.size() > kLargestManifest)
    return corrupted("has an impossible size");
  if (!text.ends_with(kAfterSelf)) return corrupted("does not end as it must");
  const std::size_t start = text.size() - kAfterSelf.size() - kDigits;
  const std::string_view covered = text.substr(0, start);
  const std::string_view digits = text.substr(start, kDigits);
  if (!covered.ends_with(kBeforeSelf) || digest_of(covered) != digits)
    return corrupted("was changed after it was written: its digest differs");
  return std::string(digits);
}

}  // namespace

Result<ManifestText> write_manifest(const Manifest& manifest) {
  if (const std::string_view fault = find_fault(manifest); !fault.empty()) {
    return Error(ErrorCode::kInvalidArgument,
                 "The checkpoint can't be saved: it " + std::string(fault) + ".");
  }
  TRY_ASSIGN(std::string text, write_manifest_json(manifest));
  text.resize(text.size() - std::string_view("\n}").size());  // the object goes on with one more field
  text += kBeforeSelf;
  const std::string digest = digest_of(text);
  text += digest;
  text += kAfterSelf;
  if (text.size() > kLargestManifest) {
    return Error(ErrorCode::kTooLarge, "The checkpoint's manifest would be longer than 1 MiB.");
  }
  return ManifestText{text, digest};
}

Result<ParsedManifest> parse_manifest(std::string_view text) {
  TRY_ASSIGN(const std::string digest, check_self(text));
  auto json = parse_manifest_json(text);
  if (!json.ok()) return std::move(json).error().while_doing("reading manifest.json");
  if (json->self != digest) return corrupted("has a digest in a wrong place");
  if (const std::string_view fault = find_fault(json->manifest); !fault.empty()) return corrupted(fault);
  return ParsedManifest{std::move(json->manifest), digest};
}

}  // namespace ktrdr::checkpoints
