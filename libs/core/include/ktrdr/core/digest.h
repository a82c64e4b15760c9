// Digests of bytes, as lower-case hex. SHA-256 names content for people (models, strategies, data); XXH3-128
// finds damage in checkpoints at memory speed. Neither is used as a secret.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ktrdr/core/result.h"

namespace ktrdr {

// Streaming SHA-256 (FIPS 180-4, by OpenSSL). Not shared between threads.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view text) { return update(std::as_bytes(std::span(text))); }
  std::string hex();  // finishes; call once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
Result<std::string> sha256_of_file(const std::filesystem::path& file);

// Streaming XXH3-128. Not shared between threads.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;

  Xxh3& update(std::span<const std::byte> bytes);
  std::string hex() const;  // of all bytes so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string xxh3_128_hex(std::span<const std::byte> bytes);

// Equal-length comparison whose time does not depend on where two secrets differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace ktrdr
