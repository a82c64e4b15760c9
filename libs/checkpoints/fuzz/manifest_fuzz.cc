// Any bytes as manifest.json, with the right digest in its last field (else nothing behind the digest is ever
// reached): refused, or written again as the same text.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ktrdr/checkpoints/manifest.h"
#include "ktrdr/core/check.h"
#include "ktrdr/core/digest.h"

namespace ktrdr::checkpoints {
namespace {

void check_refusal(const Error& error) {
  CHECK(error.code == ErrorCode::kCheckpointCorrupted || error.code == ErrorCode::kUnsupported,
        "a manifest that can't be read is damaged, or newer");
}

void read(std::string_view text) {
  const auto parsed = parse_manifest(text);
  if (!parsed.ok()) return check_refusal(parsed.error());
  const auto written = write_manifest(parsed->manifest);
  CHECK(written.ok(), "what we read we can write");
  const auto again = parse_manifest(written->text);
  CHECK(again.ok() && again->manifest == parsed->manifest, "a manifest survives the disk");
}

// `head` stands for everything before the last field, whose digest covers it.
std::string sealed(std::string head) {
  head += ",\n  \"self\": \"";
  return head + xxh3_128_hex(std::as_bytes(std::span(head))) + "\"\n}\n";
}

}  // namespace
}  // namespace ktrdr::checkpoints

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ktrdr::checkpoints::read(text);
  ktrdr::checkpoints::read(ktrdr::checkpoints::sealed(text));
  return 0;
}
