#include "ktrdr/core/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>  // the same hash by the widest vectors that the processor has
#endif

#include <array>
#include <cstdio>
#include <fstream>
#include <vector>

namespace ktrdr {
namespace {

std::string hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string xxh3_hex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return hex(canonical.digest);
}

}  // namespace

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1, "OpenSSL always has SHA-256");
}

Sha256::~Sha256() = default;

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1,
        "hashing memory can't fail");
  return *this;
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  CHECK(EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) == 1, "hashing memory can't fail");
  return ktrdr::hex(digest);
}

std::string sha256_hex(std::string_view text) { return Sha256().update(text).hex(); }

Result<std::string> sha256_of_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return Error(ErrorCode::kIo, "Cannot open " + file.string() + " to read it.");
  Sha256 digest;
  std::vector<char> block(1 << 20);
  while (stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    digest.update(std::string_view(block.data(), static_cast<std::size_t>(stream.gcount())));
  }
  if (stream.bad()) return Error(ErrorCode::kIo, "Cannot read " + file.string() + ".");
  return digest.hex();
}

struct Xxh3::State {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> xxh3{XXH3_createState(), &XXH3_freeState};
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  CHECK(state_->xxh3 != nullptr && XXH3_128bits_reset(state_->xxh3.get()) == XXH_OK,
        "there is memory for the state of a digest");
}

Xxh3::~Xxh3() = default;

Xxh3& Xxh3::update(std::span<const std::byte> bytes) {
  CHECK(XXH3_128bits_update(state_->xxh3.get(), bytes.data(), bytes.size()) == XXH_OK,
        "hashing memory can't fail");
  return *this;
}

std::string Xxh3::hex() const { return xxh3_hex(XXH3_128bits_digest(state_->xxh3.get())); }

std::string xxh3_128_hex(std::span<const std::byte> bytes) {
  return xxh3_hex(XXH3_128bits(bytes.data(), bytes.size()));
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace ktrdr
