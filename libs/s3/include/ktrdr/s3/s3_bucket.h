// One bucket of an S3 server, Amazon's or another. Every request is signed (Signature Version 4) with the
// SHA-256 of its payload, so bytes that change on the way are refused. Requests that meet an outage, a 503 or
// a 429 are tried again a few times: all of them are idempotent, or made so.
//
// Keys are whole: the settings' prefix is the caller's to put in front. Safe to call from several threads.
//
// Errors of all: kUnavailable (outage, timeout, overload), kUnauthorized and kForbidden (the message says
// which variable to check), kInvalidArgument (no such bucket, wrong region), kIo (anything else that a server
// says).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ktrdr/core/clock.h"
#include "ktrdr/core/result.h"
#include "ktrdr/s3/s3_settings.h"

namespace ktrdr::s3 {

// How long an outage is met with patience. After each try the pause doubles.
struct S3Patience {
  int most_tries = 4;
  Duration first_pause{250};
  Duration no_new_try_after{10'000};              // since the first one began
  std::function<void(Duration)> pause = nullptr;  // nullptr: sleeps
};

struct S3Sizes {
  std::uint64_t part = std::uint64_t{64}
                       << 20;  // larger objects go up in parts; a server may want 5 MiB at least
  int page = 1000;             // keys a page of a listing
};

struct S3Object {
  std::string key;
  std::uint64_t size = 0;
};

struct S3Upload {  // unfinished
  std::string key;
  std::string id;
};

class S3Bucket {
 public:
  explicit S3Bucket(S3Settings settings, S3Patience patience = {}, S3Sizes sizes = {});
  ~S3Bucket();

  // Creates an object from pieces that are borrowed until this returns: visible whole or not at all.
  // kConflict when there already is one, where the server has conditional writes (If-None-Match); where it
  // has not, the object is replaced, and the caller must know that nobody else writes this key. kTooLarge:
  // over the server's limit. After any other error the object may be there or not.
  Result<void> create(const std::string& key, const std::vector<std::span<const std::byte>>& pieces);

  // kNotFound; kTooLarge when it is longer than `at_most` bytes.
  Result<std::string> get(const std::string& key, std::uint64_t at_most) const;

  // The same into memory that is there; returns how many bytes it is. kTooLarge when that is not enough.
  Result<std::uint64_t> get_into(const std::string& key, std::span<std::byte> memory) const;

  // Its size; nothing when there is no such object.
  Result<std::optional<std::uint64_t>> size_of(const std::string& key) const;

  Result<void> remove(const std::string& key);  // fine when there is none

  // Everything whose key starts with `prefix`, in the order of keys, over all pages.
  Result<std::vector<S3Object>> list(const std::string& prefix) const;
  // What stands between `prefix` and the next slash: "a" and "b" for a/1, a/2, b/1.
  Result<std::vector<std::string>> list_folders(const std::string& prefix) const;

  Result<std::vector<S3Upload>> list_uploads(const std::string& prefix) const;
  Result<void> abort(const S3Upload& upload);  // fine when it is gone

  // One cheap request that shows whether bucket and keys are good.
  Result<void> check_access() const;

  const S3Settings& settings() const;

 private:
  class Conversation;
  std::unique_ptr<Conversation> conversation_;
};

}  // namespace ktrdr::s3
