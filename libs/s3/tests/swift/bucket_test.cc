// Against a server that checks signatures, digests and sizes.
#include <gtest/gtest.h>

#include <thread>

#include "ktrdr/core/testing/matchers.h"
#include "ktrdr/s3/s3_bucket.h"
#include "ktrdr/s3/testing/swift_server.h"

namespace ktrdr::s3 {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;
using testing::fresh_prefix;
using testing::SwiftServer;

constexpr std::uint64_t kAnySize = 1 << 20;

// No test waits for a pause.
const S3Patience kImpatient{.most_tries = 2, .pause = [](Duration) {}};

S3Settings settings_of(const Environment& environment) {
  return find_s3_settings(SwiftServer::shared().place(""), environment).value();
}

class BucketOnSwift : public ::testing::Test {
 protected:
  Result<void> create(const std::string& key, const std::string& bytes) {
    return bucket_.create(key, {std::as_bytes(std::span(bytes))});
  }
  std::vector<std::string> keys(const std::string& prefix) {
    std::vector<std::string> keys;
    for (const S3Object& object : bucket_.list(prefix).value()) keys.push_back(object.key);
    return keys;
  }

  const std::string prefix_ = fresh_prefix() + "/";
  S3Bucket bucket_{settings_of(SwiftServer::shared().environment()), kImpatient, {.part = 1000, .page = 3}};
};

TEST_F(BucketOnSwift, GivesBackTheBytesOfAnObject) {
  const std::string bytes("some\0bytes\xff", 11);
  ASSERT_THAT(create(prefix_ + "a", bytes), IsOk());
  EXPECT_EQ(bucket_.get(prefix_ + "a", kAnySize).value(), bytes);
  EXPECT_EQ(bucket_.size_of(prefix_ + "a").value(), bytes.size());
}

TEST_F(BucketOnSwift, KeepsAnEmptyObject) {
  ASSERT_THAT(bucket_.create(prefix_ + "empty", {}), IsOk());
  EXPECT_EQ(bucket_.get(prefix_ + "empty", kAnySize).value(), "");
  EXPECT_EQ(bucket_.size_of(prefix_ + "empty").value(), 0U);
}

TEST_F(BucketOnSwift, SendsPiecesInTheirOrder) {
  const std::string a = "first ", b, c = "second";
  const std::vector<std::span<const std::byte>> pieces = {
      std::as_bytes(std::span(a)), std::as_bytes(std::span(b)), std::as_bytes(std::span(c))};
  ASSERT_THAT(bucket_.create(prefix_ + "a", pieces), IsOk());
  EXPECT_EQ(bucket_.get(prefix_ + "a", kAnySize).value(), "first second");
}

TEST_F(BucketOnSwift, UploadsWhatIsLargeInParts) {
  std::string head(777, 'h'), body;
  for (int i = 0; i < 3500; ++i) body += static_cast<char>(i % 251);
  const auto created =
      bucket_.create(prefix_ + "large", {std::as_bytes(std::span(head)), std::as_bytes(std::span(body))});
  ASSERT_THAT(created, IsOk());
  EXPECT_EQ(bucket_.get(prefix_ + "large", kAnySize).value(), head + body);
  EXPECT_EQ(bucket_.size_of(prefix_ + "large").value(), head.size() + body.size());
  EXPECT_TRUE(bucket_.list_uploads(prefix_)->empty());
}

TEST_F(BucketOnSwift, SignsKeysWithEverythingThatMayStandInThem) {
  for (const char* name : {"a=b", "größe/模型", "a b+c", "50%", "a&b?c#d", "~x,y;z:@!$'()*"}) {
    const std::string key = prefix_ + name;
    ASSERT_THAT(create(key, name), IsOk()) << name;
    EXPECT_EQ(bucket_.get(key, kAnySize).value(), name);
    EXPECT_EQ(keys(key), std::vector<std::string>{key});
    EXPECT_THAT(bucket_.remove(key), IsOk()) << name;
    EXPECT_TRUE(keys(key).empty()) << name;
  }
}

TEST_F(BucketOnSwift, UploadsUnderAnUnusualKeyInParts) {
  const std::string key = prefix_ + "größe=1/a b", bytes(2500, 'x');
  ASSERT_THAT(create(key, bytes), IsOk());
  EXPECT_EQ(bucket_.get(key, kAnySize).value(), bytes);
}

TEST_F(BucketOnSwift, ListsOverPagesInTheOrderOfKeys) {
  std::vector<std::string> expected;
  for (char c = 'a'; c <= 'h'; ++c) {
    expected.push_back(prefix_ + "x=/" + c);
    ASSERT_THAT(create(expected.back(), std::string(static_cast<std::size_t>(c - 'a'), '.')), IsOk());
  }
  EXPECT_EQ(keys(prefix_), expected);
  EXPECT_EQ(bucket_.list(prefix_)->at(5).size, 5U);
  EXPECT_TRUE(keys(prefix_ + "nothing").empty());
}

TEST_F(BucketOnSwift, ListsFoldersOverPagesAndNoObjects) {
  for (const char* key : {"a/1", "a/2", "b=/1", "c/1/2", "d/1", "e/1", "file"})
    ASSERT_THAT(create(prefix_ + key, ""), IsOk());
  EXPECT_EQ(bucket_.list_folders(prefix_).value(), (std::vector<std::string>{"a", "b=", "c", "d", "e"}));
}

TEST_F(BucketOnSwift, WhatIsMissingIsNotFoundAndMayBeRemoved) {
  EXPECT_THAT(bucket_.get(prefix_ + "a", kAnySize), FailsWith(ErrorCode::kNotFound));
  EXPECT_EQ(bucket_.size_of(prefix_ + "a").value(), std::nullopt);
  EXPECT_THAT(bucket_.remove(prefix_ + "a"), IsOk());
  EXPECT_THAT(bucket_.abort({prefix_ + "a", "no-such-upload"}), IsOk());
}

TEST_F(BucketOnSwift, DoesNotReadMoreThanItIsAllowed) {
  ASSERT_THAT(create(prefix_ + "a", "12345"), IsOk());
  EXPECT_EQ(bucket_.get(prefix_ + "a", 5).value(), "12345");
  EXPECT_THAT(bucket_.get(prefix_ + "a", 4), FailsWith(ErrorCode::kTooLarge));
  EXPECT_THAT(bucket_.get(prefix_ + "missing", 1),
              FailsWith(ErrorCode::kNotFound));  // though the refusal is longer
}

TEST_F(BucketOnSwift, AWrongSecretIsRefusedAndNothingIsWritten) {
  const std::string wrong = "not-the-secret";
  S3Bucket stranger(settings_of(SwiftServer::shared().environment_with("AWS_SECRET_ACCESS_KEY", wrong)),
                    kImpatient);
  const auto created = stranger.create(prefix_ + "a", {});
  EXPECT_THAT(created, FailsWith(ErrorCode::kUnauthorized));
  EXPECT_THAT(created, SaysError("AWS_SECRET_ACCESS_KEY"));
  EXPECT_EQ(created.error().describe().find(wrong), std::string::npos);
  EXPECT_THAT(stranger.get(prefix_ + "a", 1), FailsWith(ErrorCode::kUnauthorized));
  EXPECT_THAT(stranger.size_of(prefix_ + "a"),
              FailsWith(ErrorCode::kForbidden));  // HEAD has no body to tell more
  EXPECT_TRUE(keys(prefix_).empty());
}

TEST_F(BucketOnSwift, AnUnknownKeyIsNamed) {
  S3Bucket stranger(settings_of(SwiftServer::shared().environment_with("AWS_ACCESS_KEY_ID", "test:nobody")),
                    kImpatient);
  EXPECT_THAT(stranger.check_access(), FailsWith(ErrorCode::kUnauthorized));
  EXPECT_THAT(stranger.check_access(), SaysError("AWS_ACCESS_KEY_ID"));
}

TEST_F(BucketOnSwift, AMissingBucketIsNotAMissingObject) {
  const auto settings =
      find_s3_settings("s3://no-such-bucket/x", SwiftServer::shared().environment()).value();
  S3Bucket bucket(settings, kImpatient);
  EXPECT_THAT(bucket.check_access(), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bucket.get("a", 1), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(bucket.create("a", {}), FailsWith(ErrorCode::kInvalidArgument));
}

TEST_F(BucketOnSwift, ServesSeveralThreadsAtOnce) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const std::string key = prefix_ + std::to_string(t), bytes(static_cast<std::size_t>(900 * t), 'x');
      EXPECT_THAT(create(key, bytes), IsOk());
      EXPECT_EQ(bucket_.get(key, kAnySize).value(), bytes);
    });
  }
}

}  // namespace
}  // namespace ktrdr::s3
