// What is said to a server that fails, against a server that does as it is told.
#include "ktrdr/s3/s3_bucket.h"

#include <gtest/gtest.h>

#include "ktrdr/client/testing/scripted_server.h"
#include "ktrdr/core/digest.h"
#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::s3 {
namespace {

using client::testing::ScriptedAnswer;
using client::testing::ScriptedServer;
using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

const std::string kSecret = "do-not-tell";
const ScriptedAnswer kSlowDown{503, "<Error><Code>SlowDown</Code></Error>", {}, false};

class ScriptedBucket : public ::testing::Test {
 protected:
  Result<void> create(const std::string& bytes = "bytes") {
    return bucket_.create("a", {std::as_bytes(std::span(bytes))});
  }

  ScriptedServer server_;
  std::vector<Duration> pauses_;
  std::function<void()> between_tries_ = [] {};
  S3Bucket bucket_{{.place = {"bucket", ""},
                    .url = server_.url(),
                    .base_path = "/bucket",
                    .region = "us-east-1",
                    .credentials = {"id", kSecret, "session"}},
                   {.most_tries = 3,
                    .first_pause = Duration(100),
                    .no_new_try_after = Duration(600'000),
                    .pause = [this](Duration pause) { pauses_.push_back(pause), between_tries_(); }},
                   {.part = 8, .page = 2}};
};

TEST_F(ScriptedBucket, EveryRequestIsSignedTogetherWithItsPayload) {
  server_.answer("PUT /bucket/a", {200, ""});
  server_.answer("GET /bucket/a", {200, "bytes"});
  ASSERT_THAT(create(), IsOk());
  ASSERT_THAT(bucket_.get("a", 5), IsOk());
  const auto seen = server_.requests();
  EXPECT_EQ(seen.at(0).headers.at("x-amz-content-sha256"), sha256_hex("bytes"));
  EXPECT_EQ(seen.at(1).headers.at("x-amz-content-sha256"), sha256_hex(""));
  for (const auto& request : seen) {
    const std::string& signature = request.headers.at("authorization");
    EXPECT_TRUE(signature.starts_with("AWS4-HMAC-SHA256 Credential=id/")) << signature;
    EXPECT_NE(signature.find("x-amz-content-sha256;x-amz-date"), std::string::npos) << signature;
    EXPECT_NE(signature.find("x-amz-security-token"), std::string::npos) << signature;
    EXPECT_EQ(request.headers.at("x-amz-security-token"), "session");
    for (const auto& [name, value] : request.headers)
      EXPECT_EQ(value.find(kSecret), std::string::npos) << name;
  }
}

TEST_F(ScriptedBucket, ABusyServerIsAskedAgainAfterPausesThatGrow) {
  server_.answer("PUT /bucket/a", kSlowDown);
  server_.answer("PUT /bucket/a", {500, ""});
  server_.answer("PUT /bucket/a", {200, ""});
  EXPECT_THAT(create(), IsOk());
  EXPECT_EQ(pauses_, (std::vector<Duration>{Duration(100), Duration(200)}));
  for (const auto& request : server_.requests()) EXPECT_EQ(request.body, "bytes");
}

TEST_F(ScriptedBucket, AServerThatStaysBusyIsUnavailableAfterAFewTries) {
  server_.answer("PUT /bucket/a", kSlowDown);
  EXPECT_THAT(create(), FailsWith(ErrorCode::kUnavailable));
  EXPECT_EQ(server_.requests().size(), 3U);
}

TEST_F(ScriptedBucket, AnOutageIsMetWithTheSamePatience) {
  server_.go_down();
  const auto answer = bucket_.get("a", 5);
  EXPECT_THAT(answer, FailsWith(ErrorCode::kUnavailable));
  EXPECT_THAT(answer, SaysError(server_.url()));
  EXPECT_EQ(pauses_.size(), 2U);
}

TEST_F(ScriptedBucket, GoesOnWhenTheServerComesBack) {
  server_.answer("GET /bucket/a", {200, "bytes"});
  server_.go_down();
  between_tries_ = [this] {
    if (pauses_.size() == 1) server_.come_back();
  };
  EXPECT_EQ(bucket_.get("a", 5).value(), "bytes");
}

TEST_F(ScriptedBucket, ARefusalIsNotRepeated) {
  server_.answer("PUT /bucket/a", {403, "<Error><Code>AccessDenied</Code></Error>"});
  EXPECT_THAT(create(), FailsWith(ErrorCode::kForbidden));
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(ScriptedBucket, NothingThatTheServerSaysButItsCodeGetsIntoAnError) {
  const std::string body =
      "<Error><Code>SignatureDoesNotMatch</Code><Message>signed with do-not-tell</Message></Error>";
  server_.answer("PUT /bucket/a", {403, body});
  const auto refused = create();
  EXPECT_THAT(refused, FailsWith(ErrorCode::kUnauthorized));
  EXPECT_EQ(refused.error().describe().find(kSecret), std::string::npos);
  EXPECT_EQ(refused.error().describe().find("session"), std::string::npos);
  server_.answer("GET /bucket/a", {400, "<Error><Code>\n forged line</Code></Error>"});
  EXPECT_EQ(bucket_.get("a", 5).error().describe().find("forged"), std::string::npos);
}

TEST_F(ScriptedBucket, CreatesOnlyWhatIsNotThere) {
  server_.answer("PUT /bucket/a", {412, "<Error><Code>PreconditionFailed</Code></Error>"});
  EXPECT_THAT(create(), FailsWith(ErrorCode::kConflict));
  ASSERT_EQ(server_.requests().size(), 1U);
  EXPECT_EQ(server_.requests().at(0).headers.at("if-none-match"), "*");
}

TEST_F(ScriptedBucket, AServerWithoutConditionalWritesIsAskedWithoutFromThenOn) {
  server_.answer("PUT /bucket/a", {501, "<Error><Code>NotImplemented</Code></Error>"});
  server_.answer("PUT /bucket/a", {200, ""});
  ASSERT_THAT(create(), IsOk());
  ASSERT_THAT(create(), IsOk());
  const auto seen = server_.requests();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen.at(1).headers.count("if-none-match"), 0U);
  EXPECT_EQ(seen.at(2).headers.count("if-none-match"), 0U);
}

TEST_F(ScriptedBucket, AfterALostAnswerItsOwnObjectIsNoConflict) {
  server_.answer("PUT /bucket/a", {.hang_up = true});
  server_.answer("PUT /bucket/a", {412, ""});
  between_tries_ = [this] {
    const std::string writer = server_.requests().at(0).headers.at("x-amz-meta-ktrdr-writer");
    server_.answer("HEAD /bucket/a", {200, "", {"x-amz-meta-ktrdr-writer: " + writer}});
  };
  EXPECT_THAT(create(), IsOk());
}

TEST_F(ScriptedBucket, AfterALostAnswerAnObjectOfSomebodyElseIsAConflict) {
  server_.answer("PUT /bucket/a", {.hang_up = true});
  server_.answer("PUT /bucket/a", {412, ""});
  server_.answer("HEAD /bucket/a", {200, "", {"x-amz-meta-ktrdr-writer: another"}});
  EXPECT_THAT(create(), FailsWith(ErrorCode::kConflict));
}

class ScriptedUpload : public ScriptedBucket {
 protected:
  ScriptedUpload() {
    server_.answer("POST /bucket/a?uploads=", {200, "<I><UploadId>u=1</UploadId></I>"});
    server_.answer("PUT /bucket/a", {200, "", {"ETag: \"e\""}});
    server_.answer("DELETE /bucket/a", {204, ""});
  }
};

TEST_F(ScriptedUpload, CompletesWithThePartsThatWereAcknowledged) {
  server_.answer("POST /bucket/a?uploadId=u%3D1", {200, "\n<C/>"});
  ASSERT_THAT(create("12345678abc"), IsOk());
  const auto parts = server_.requests("PUT");
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts.at(0).target, "/bucket/a?partNumber=1&uploadId=u%3D1");
  EXPECT_EQ(parts.at(1).body, "abc");
  const auto completed = server_.requests("POST /bucket/a?uploadId").at(0);
  EXPECT_NE(completed.body.find("<Part><PartNumber>2</PartNumber><ETag>&quot;e&quot;</ETag></Part>"),
            std::string::npos);
  EXPECT_EQ(completed.headers.at("if-none-match"), "*");
  EXPECT_TRUE(server_.requests("DELETE").empty());
}

TEST_F(ScriptedUpload, ACompletionThatFailsLateIsRepeated) {
  server_.answer("POST /bucket/a?uploadId=u%3D1", {200, "<Error><Code>InternalError</Code></Error>"});
  server_.answer("POST /bucket/a?uploadId=u%3D1", {200, "<C/>"});
  EXPECT_THAT(create("12345678abc"), IsOk());
}

TEST_F(ScriptedUpload, ACompletionThatIsRefusedLateIsNoSuccess) {
  server_.answer("POST /bucket/a?uploadId=u%3D1", {200, "<Error><Code>InvalidPart</Code></Error>"});
  EXPECT_THAT(create("12345678abc"), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(server_.requests("DELETE /bucket/a?uploadId=u%3D1").size(), 1U);
}

TEST_F(ScriptedUpload, AnUploadThatWasTakenAwayFailsAndPublishesNothing) {
  server_.answer("POST /bucket/a?uploadId=u%3D1", {404, "<Error><Code>NoSuchUpload</Code></Error>"});
  EXPECT_THAT(create("12345678abc"), FailsWith(ErrorCode::kIo));
}

TEST_F(ScriptedBucket, AListingThatDoesNotEndIsAnError) {
  server_.answer(
      "GET /bucket",
      {200, "<L><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></L>"});
  EXPECT_THAT(bucket_.list(""), FailsWith(ErrorCode::kIo));
}

TEST_F(ScriptedBucket, AnAnswerThatIsNoListingIsAnError) {
  server_.answer("GET /bucket", {200, "<html><p>Welcome"});
  EXPECT_THAT(bucket_.list(""), FailsWith(ErrorCode::kIo));
}

TEST_F(ScriptedBucket, DecodesKeysOnlyWhenTheServerEncodedThem) {
  server_.answer("GET /bucket", {200, "<L><Contents><Key>a%3Db</Key><Size>1</Size></Contents></L>"});
  server_.answer(
      "GET /bucket",
      {200, "<L><EncodingType>url</EncodingType><Contents><Key>a%3Db</Key><Size>1</Size></Contents></L>"});
  EXPECT_EQ(bucket_.list("")->at(0).key, "a%3Db");
  EXPECT_EQ(bucket_.list("")->at(0).key, "a=b");
}

TEST_F(ScriptedBucket, ARedirectIsNotFollowed) {
  ScriptedServer elsewhere;
  server_.answer("GET /bucket/a", {301, "", {"Location: " + elsewhere.url()}});
  EXPECT_THAT(bucket_.get("a", 5), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_TRUE(elsewhere.requests().empty());
}

}  // namespace
}  // namespace ktrdr::s3
