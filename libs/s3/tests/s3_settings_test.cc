#include "ktrdr/s3/s3_settings.h"

#include <gtest/gtest.h>

#include <map>

#include "ktrdr/core/testing/matchers.h"

namespace ktrdr::s3 {
namespace {

using ktrdr::testing::FailsWith;
using ktrdr::testing::IsOk;
using ktrdr::testing::SaysError;

using Variables = std::map<std::string, std::string>;
const Variables kKeys = {{"AWS_ACCESS_KEY_ID", "id"}, {"AWS_SECRET_ACCESS_KEY", "secret"}};

Result<S3Settings> find(const std::string& url, Variables variables) {
  variables.insert(kKeys.begin(), kKeys.end());
  return find_s3_settings(url, [variables](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(S3Url, HasABucketAndPerhapsAPrefix) {
  const S3Place place = parse_s3_url("s3://my-bucket/a/b=c/").value();
  EXPECT_EQ(place.bucket, "my-bucket");
  EXPECT_EQ(place.prefix, "a/b=c");
  EXPECT_EQ(parse_s3_url("s3://my-bucket")->prefix, "");
  EXPECT_EQ(parse_s3_url("s3://my-bucket/")->prefix, "");
}

TEST(S3Url, RefusesWhatNoServerWouldReadAsItIsMeant) {
  for (const char* text : {"", "s3:/x", "http://bucket", "s3://", "s3://ab", "s3://Bucket", "s3://-ab",
                           "s3://a..b", "s3://bucket//a", "s3://bucket/a//b", "s3://bucket/../b",
                           "s3://bucket/a/.", "s3://bucket/a\nb", "s3://bucket//"}) {
    EXPECT_THAT(parse_s3_url(text), FailsWith(ErrorCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(parse_s3_url("s3://bucket/" + std::string(513, 'a')), FailsWith(ErrorCode::kInvalidArgument));
}

TEST(S3Url, DoesNotRepeatASecretThatSomebodyPutIntoIt) {
  const auto refused = parse_s3_url("s3://id:hunter2@bucket/a");
  ASSERT_THAT(refused, FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_EQ(refused.error().describe().find("hunter2"), std::string::npos);
}

TEST(S3Settings, AmazonsBucketsHaveHostsOfTheirOwn) {
  const auto settings = find("s3://my-bucket/p", {{"AWS_REGION", "eu-west-1"}});
  ASSERT_THAT(settings, IsOk());
  EXPECT_EQ(settings->url, "https://my-bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(settings->base_path, "");
  EXPECT_EQ(settings->region, "eu-west-1");
}

TEST(S3Settings, ABucketWithADotIsAddressedByPathBecauseNoCertificateCoversIt) {
  const auto settings = find("s3://my.bucket", {{"AWS_DEFAULT_REGION", "eu-west-1"}});
  ASSERT_THAT(settings, IsOk());
  EXPECT_EQ(settings->url, "https://s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(settings->base_path, "/my.bucket");
}

TEST(S3Settings, AnEndpointIsAddressedByPath) {
  const auto settings = find("s3://my-bucket", {{"AWS_ENDPOINT_URL", "http://localhost:9000/s3/"}});
  ASSERT_THAT(settings, IsOk());
  EXPECT_EQ(settings->url, "http://localhost:9000");
  EXPECT_EQ(settings->base_path, "/s3/my-bucket");
  EXPECT_EQ(settings->region, "us-east-1");
}

TEST(S3Settings, TheMoreSpecialVariableWins) {
  const auto settings = find("s3://my-bucket", {{"AWS_ENDPOINT_URL", "http://general"},
                                                {"AWS_ENDPOINT_URL_S3", "http://special"},
                                                {"AWS_DEFAULT_REGION", "general"},
                                                {"AWS_REGION", "special"},
                                                {"AWS_SESSION_TOKEN", "token"}});
  ASSERT_THAT(settings, IsOk());
  EXPECT_EQ(settings->url, "http://special");
  EXPECT_EQ(settings->region, "special");
  EXPECT_EQ(settings->credentials.session_token, "token");
}

TEST(S3Settings, NamesTheVariableThatIsMissing) {
  EXPECT_THAT(find("s3://my-bucket", {{"AWS_ACCESS_KEY_ID", ""}, {"AWS_REGION", "x"}}),
              SaysError("AWS_ACCESS_KEY_ID"));
  EXPECT_THAT(find("s3://my-bucket", {{"AWS_SECRET_ACCESS_KEY", ""}, {"AWS_REGION", "x"}}),
              SaysError("AWS_SECRET_ACCESS_KEY"));
  EXPECT_THAT(find("s3://my-bucket", {}), SaysError("AWS_REGION"));
}

TEST(S3Settings, RefusesValuesThatCouldSmuggleSomething) {
  const Variables bad[] = {{{"AWS_REGION", "a:b"}},
                           {{"AWS_REGION", "a/../b"}},
                           {{"AWS_REGION", "x"}, {"AWS_SESSION_TOKEN", "a\r\nX-Other: 1"}},
                           {{"AWS_REGION", "x"}, {"AWS_SECRET_ACCESS_KEY", "a\nb"}},
                           {{"AWS_ENDPOINT_URL", "ftp://host"}},
                           {{"AWS_ENDPOINT_URL", "http://user:word@host"}},
                           {{"AWS_ENDPOINT_URL", "http://host?x=y"}}};
  for (const Variables& variables : bad) {
    const auto settings = find("s3://my-bucket", variables);
    ASSERT_THAT(settings, FailsWith(ErrorCode::kInvalidArgument)) << variables.rbegin()->first;
    EXPECT_EQ(settings.error().describe().find(variables.rbegin()->second), std::string::npos);
  }
}

}  // namespace
}  // namespace ktrdr::s3
