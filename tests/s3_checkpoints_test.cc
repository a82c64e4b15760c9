// Checkpoints in a bucket instead of a folder: killed, resumed elsewhere, and the bucket's server killed too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ktrdr/checkpoints/open_checkpoint_store.h"
#include "ktrdr/s3/s3_bucket.h"
#include "ktrdr/s3/testing/swift_server.h"
#include "support/saving_zombie.h"
#include "support/test_system.h"

namespace ktrdr::system_test {
namespace {

using api::OperationStatus;
using s3::testing::SwiftServer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TrainingWish wish() { return {.strategy_yaml = demanding_strategy(40)}; }

// A save into the bucket takes a second or two on a slow machine, and several must be seen.
TrainingWish long_wish() { return {.strategy_yaml = demanding_strategy(400)}; }

const Fingerprint& undisturbed() {
  static const Reference reference = train_undisturbed(wish());
  return reference.fingerprint;
}

// Server and workers inherit what a user would have exported.
SystemOptions with_bucket(const std::string& place) {
  constexpr int kReplace = 1;
  const auto environment = SwiftServer::shared().environment();
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"}) {
    if (const auto value = environment(name)) ::setenv(name, value->c_str(), kReplace);
  }
  return {.serve_options = {"--checkpoints", place}};
}

TEST(S3Checkpoints, AKilledTrainingIsResumedFromTheBucket) {
  TestSystem system(with_bucket(SwiftServer::shared().place(s3::testing::fresh_prefix())));
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 20);
  system.signal_worker(id, SIGKILL);
  system.wait_for_status(id, OperationStatus::kFailed);
  EXPECT_THAT(system.api().checkpoint(id)->data.artifacts_path, StartsWith("s3://"));
  system.resume(id);
  ASSERT_EQ(system.wait_for_status(id, OperationStatus::kCompleted).status, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed());
  EXPECT_TRUE(std::filesystem::is_empty(system.data_dir() / "checkpoints"))
      << "nothing was kept in the folder";
}

TEST(S3Checkpoints, ACheckpointIsExportedFromTheBucket) {
  TestSystem system(with_bucket(SwiftServer::shared().place(s3::testing::fresh_prefix())));
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 20);
  ASSERT_TRUE(system.api().cancel(id, {.reason = "enough"}).ok());
  system.wait_for_status(id, OperationStatus::kCancelled);
  const auto output = system.folder() / "exported";
  const auto exported =
      system.ktrdr({"checkpoints", "export", id.value, "--format", "safetensors", "--output", output});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_TRUE(std::filesystem::exists(output / "model.safetensors"));
  ::setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
  const auto refused = system.ktrdr(
      {"checkpoints", "export", id.value, "--format", "safetensors", "--output", output, "--force"});
  EXPECT_EQ(refused.exit_code, 6) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("AWS_"));
}

TEST(S3Checkpoints, ATrainingGoesOnWhileTheBucketIsAway) {
  TestSystem system(with_bucket(SwiftServer::shared().place(s3::testing::fresh_prefix())));
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 20);
  SwiftServer::shared().kill();
  const auto step = system.operation(id).progress.context.global_step;
  system.wait_for_step(id, step + 5);
  SwiftServer::shared().start();
  ASSERT_EQ(system.wait_for_status(id, OperationStatus::kCompleted).status, OperationStatus::kCompleted);
  EXPECT_EQ(fingerprint_of(system, id), undisturbed());
}

TEST(S3Checkpoints, TheStatsAreWhatLiesInTheBucket) {
  const std::string place = SwiftServer::shared().place(s3::testing::fresh_prefix());
  TestSystem system(with_bucket(place));
  const auto settings = s3::find_s3_settings(place, SwiftServer::shared().environment());
  ASSERT_TRUE(settings.ok());
  const s3::S3Bucket bucket(*settings);
  const auto bytes_in_it = [&] {
    std::int64_t bytes = 0;
    for (const s3::S3Object& object : bucket.list(settings->place.prefix + "/").value())
      bytes += static_cast<std::int64_t>(object.size);
    return bytes;
  };
  const OperationId id = system.start_training(wish());
  system.wait_for_step(id, 20);
  ASSERT_TRUE(system.api().cancel(id, {}).ok());
  ASSERT_TRUE(system.api().clean_up_checkpoints(std::nullopt).ok());
  const auto stats = system.api().checkpoint_stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->kept_checkpoints, 2);
  EXPECT_GT(stats->total_size_bytes, 0);
  EXPECT_EQ(stats->total_size_bytes, bytes_in_it());
  ASSERT_TRUE(system.api().delete_checkpoint(id).ok());
  EXPECT_EQ(system.api().checkpoint_stats()->kept_checkpoints, 0);
  EXPECT_EQ(bytes_in_it(), 0);
}

TEST(S3Checkpoints, AZombieThatSavesBesideItsSuccessorDisturbsNothing) {
  const Fingerprint expected = train_undisturbed(long_wish()).fingerprint;
  const std::string place = SwiftServer::shared().place(s3::testing::fresh_prefix());
  SystemOptions options = with_bucket(place);
  options.local_workers = 0;
  TestSystem system(options);
  const auto objects = checkpoints::open_checkpoint_store(place, SwiftServer::shared().environment());
  ASSERT_TRUE(objects.ok()) << objects.error().describe();
  expect_a_zombie_disturbs_nothing(system, **objects, long_wish(), expected, {"--checkpoints", place});
}

TEST(S3Checkpoints, AWrongSecretIsSaidAtTheStart) {
  TestSystem any(with_bucket(SwiftServer::shared().place(s3::testing::fresh_prefix())));
  ::setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
  const auto refused = any.ktrdr({"serve", "--data-dir", any.folder() / "other", "--port", "0",
                                  "--local-workers", "0", "--checkpoints", SwiftServer::shared().place("x")});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("AWS_"));
}

}  // namespace
}  // namespace ktrdr::system_test
