// S3CheckpointStore against a server that checks signatures.
#include "ktrdr/checkpoints/s3_checkpoint_store.h"

#include <thread>

#include "../little_memory.h"
#include "ktrdr/checkpoints/open_checkpoint_store.h"
#include "ktrdr/checkpoints/testing/checkpoint_store_contract.h"
#include "ktrdr/core/testing/temporary_folder.h"
#include "ktrdr/s3/testing/swift_server.h"

namespace ktrdr::checkpoints::testing {
namespace {

using s3::testing::fresh_prefix;
using s3::testing::SwiftServer;

const s3::S3Patience kImpatient{.most_tries = 2, .pause = [](Duration) {}};
// So small that some of a sample's files go up in parts and others whole, and that listings have pages.
const s3::S3Sizes kSmall{.part = 1000, .page = 5};

s3::S3Settings settings_of(const SwiftServer& server, const std::string& prefix) {
  return s3::find_s3_settings(server.place(prefix), server.environment()).value();
}

class S3Bench final : public CheckpointStoreBench {
 public:
  CheckpointStore& store() override { return store_; }
  void change_file(const OperationId& operation, CheckpointRef ref, const std::string& file,
                   std::optional<std::string> bytes) override {
    const std::string key = prefix_ + "/" + operation.value + "/" + ref.to_string() + "/" + file;
    ASSERT_NE(bucket_.size_of(key).value(), std::nullopt);
    ASSERT_THAT(bucket_.remove(key), IsOk());
    if (!bytes) return;
    ASSERT_THAT(bucket_.create(key, {std::as_bytes(std::span(*bytes))}), IsOk());
  }

 private:
  const std::string prefix_ = fresh_prefix() + "/größe=1";
  const s3::S3Settings settings_ = settings_of(SwiftServer::shared(), prefix_);
  s3::S3Bucket bucket_{settings_, kImpatient};
  S3CheckpointStore store_{settings_, kImpatient, kSmall};
};

std::unique_ptr<CheckpointStoreBench> make_s3_bench() { return std::make_unique<S3Bench>(); }
INSTANTIATE_TEST_SUITE_P(S3, CheckpointStoreContract, ::testing::Values(&make_s3_bench));

class S3Store : public ::testing::Test {
 protected:
  Result<StoredCheckpoint> put(CheckpointRef ref) { return put_sample(store_, operation_, ref); }
  std::string key(CheckpointRef ref, const std::string& name) const {
    return folder_ + ref.to_string() + "/" + name;
  }
  void create(const std::string& key, const std::string& bytes = "x") {
    ASSERT_THAT(bucket_.create(key, {std::as_bytes(std::span(bytes))}), IsOk());
  }
  // What a writer left that died before its manifest.
  void leave_unfinished(CheckpointRef ref) { create(key(ref, "model.safetensors")); }
  Result<std::size_t> sweep() {
    return store_.remove_leftovers(operation_, [](CheckpointRef) { return false; });
  }
  std::vector<s3::S3Object> objects() { return bucket_.list(folder_).value(); }

  const OperationId operation_{"op_training_1"};
  const std::string prefix_ = fresh_prefix();
  const std::string folder_ = prefix_ + "/" + operation_.value + "/";
  const s3::S3Settings settings_ = settings_of(SwiftServer::shared(), prefix_);
  s3::S3Bucket bucket_{settings_, kImpatient, kSmall};
  S3CheckpointStore store_{settings_, kImpatient, {.part = 1 << 20, .page = 3}};
};

TEST_F(S3Store, NamesObjectsAsFilesAreNamed) {
  ASSERT_THAT(put({2, 17}), IsOk());
  std::vector<std::string> keys;
  for (const auto& object : objects()) keys.push_back(object.key.substr(folder_.size()));
  EXPECT_EQ(keys, (std::vector<std::string>{"2-17/best_model.safetensors", "2-17/manifest.json",
                                            "2-17/model.safetensors", "2-17/optimizer.safetensors",
                                            "2-17/strategy.yaml", "2-17/trainer.safetensors"}));
}

// ---- memory ----

class S3StoreMemory : public S3Store {
 protected:
  void SetUp() override {
    if (kSanitizerNeedsMemory) GTEST_SKIP() << "a sanitizer takes memory of its own";
    model_.put_f32("weight", std::vector<float>(kNumbers, 0.5F));
    small_.put_scalar("step", 1.0);
    content_.description.operation = operation_;
    content_.description.ref = {1, 0};
    content_.files = {tensor_file(std::string(kModelFile), model_).value(),
                      tensor_file(std::string(kOptimizerFile), small_).value(),
                      tensor_file(std::string(kTrainerFile), small_).value()};
    ASSERT_THAT(store_.put(content_), IsOk());
  }
  bool restore() {
    const auto loaded = store_.load(operation_, {1, 0});
    if (!loaded.ok()) return false;
    model_.assign_from(loaded->model().tensors);  // into memory that is there
    return true;
  }

  static constexpr std::size_t kNumbers = 16 << 20;  // 64 MiB
  TensorMap model_, small_;
  CheckpointContent content_;
};

TEST_F(S3StoreMemory, RestoringMakesOneCopyAndThatIsTheEngines) {
  EXPECT_EXIT(in_little_memory([&] { return restore(); }), ::testing::ExitedWithCode(0), "");
}

TEST_F(S3StoreMemory, WithoutRoomOnADiskItIsReadAllTheSame) {
  setenv("TMPDIR", "/proc", 1);
  EXPECT_TRUE(restore());
  unsetenv("TMPDIR");
}

TEST_F(S3Store, ListsMoreThanOnePageOfCheckpoints) {
  std::vector<CheckpointRef> expected;
  for (std::int64_t i = 0; i < 5; ++i) {
    expected.push_back({1, i});
    ASSERT_THAT(put({1, i}), IsOk());
  }
  EXPECT_EQ(store_.list(operation_).value(), expected);
}

TEST_F(S3Store, FilesWithoutAManifestAreNoCheckpointAndLeftovers) {
  leave_unfinished({1, 0});
  EXPECT_TRUE(store_.list(operation_)->empty());
  EXPECT_EQ(store_.operations().value(), std::vector<OperationId>{operation_});  // so that a sweep comes by
  EXPECT_EQ(sweep().value(), 1U);
  EXPECT_TRUE(objects().empty());
  EXPECT_TRUE(store_.operations()->empty());
}

TEST_F(S3Store, AnUnfinishedCheckpointThatMayBeInUseIsLeftAlone) {
  ASSERT_THAT(put({1, 0}), IsOk());
  leave_unfinished({1, 1});
  leave_unfinished({2, 2});
  const auto of_attempt_2 = [](CheckpointRef ref) { return ref.attempt >= 2; };
  EXPECT_EQ(store_.remove_leftovers(operation_, of_attempt_2).value(), 1U);
  EXPECT_EQ(bucket_.size_of(key({2, 2}, "model.safetensors")).value(), 1U);
  EXPECT_EQ(bucket_.size_of(key({1, 1}, "model.safetensors")).value(), std::nullopt);
  EXPECT_THAT(store_.load(operation_, {1, 0}), IsOk());
}

TEST_F(S3Store, ARemovalThatDiedIsNoCheckpointAndFinishedByTheNextSweepWhateverIsInUse) {
  ASSERT_THAT(put({1, 0}), IsOk());
  create(key({1, 0}, ".deleted.00000000"));
  ASSERT_THAT(bucket_.remove(key({1, 0}, "manifest.json")), IsOk());
  EXPECT_THAT(store_.load(operation_, {1, 0}),
              FailsWith(ErrorCode::kCheckpointNotFound));  // gone, not damaged
  EXPECT_EQ(store_.remove_leftovers(operation_, [](CheckpointRef) { return true; }).value(), 1U);
  EXPECT_TRUE(objects().empty());
}

TEST_F(S3Store, ARemovalThatIsRepeatedIsFinished) {
  ASSERT_THAT(put({1, 0}), IsOk());
  create(key({1, 0}, ".deleted.00000000"));
  EXPECT_THAT(store_.load(operation_, {1, 0}), IsOk());  // not gone before its manifest is
  ASSERT_THAT(store_.remove(operation_, {1, 0}), IsOk());
  EXPECT_TRUE(objects().empty());
}

TEST_F(S3Store, AWriterWhoseCheckpointIsBeingSweptPublishesNothing) {
  create(key({1, 0}, ".deleted.00000000"));
  EXPECT_THAT(put({1, 0}), FailsWith(ErrorCode::kIo));
  EXPECT_TRUE(store_.list(operation_)->empty());
  EXPECT_THAT(store_.load(operation_, {1, 0}), FailsWith(ErrorCode::kCheckpointNotFound));
}

TEST_F(S3Store, ASweepThatAWriterOvertakesLeavesTheCheckpoint) {
  create(key({1, 0}, "notes.txt"));
  const auto finish_meanwhile = [this](CheckpointRef ref) {
    EXPECT_THAT(put(ref), IsOk());
    return false;
  };
  EXPECT_EQ(store_.remove_leftovers(operation_, finish_meanwhile).value(), 0U);
  EXPECT_THAT(store_.load(operation_, {1, 0}), IsOk());
  for (const auto& object : objects())
    EXPECT_EQ(object.key.find(".deleted"), std::string::npos) << object.key;
}

TEST_F(S3Store, LeavesObjectsOfOthersAlone) {
  create(prefix_ + "/README.md");
  create(folder_ + "notes.txt");
  create(prefix_ + "/Not An Operation/1-0/manifest.json");
  ASSERT_THAT(put({1, 0}), IsOk());
  EXPECT_EQ(store_.operations().value(), std::vector<OperationId>{operation_});
  EXPECT_EQ(store_.list(operation_).value(), (std::vector<CheckpointRef>{{1, 0}}));
  EXPECT_EQ(sweep().value(), 0U);
  EXPECT_EQ(bucket_.size_of(folder_ + "notes.txt").value(), 1U);
}

TEST_F(S3Store, StoresOfOtherPrefixesAreApart) {
  S3CheckpointStore longer(settings_of(SwiftServer::shared(), prefix_ + "0"), kImpatient);
  ASSERT_THAT(put({1, 0}), IsOk());
  EXPECT_TRUE(longer.operations()->empty());
  ASSERT_THAT(put_sample(longer, operation_, {1, 0}), IsOk());
  ASSERT_THAT(store_.remove_operation(operation_), IsOk());
  EXPECT_THAT(longer.load(operation_, {1, 0}), IsOk());
}

// A server of its own, because it is killed.
TEST(S3StoreOutage, AServerThatDiesDuringAnUploadLeavesNothingVisible) {
  SwiftServer server;
  const s3::S3Settings settings = settings_of(server, "p");
  S3CheckpointStore store(settings, kImpatient, {.part = 1000, .page = 1000});
  const OperationId operation{"op"};
  ASSERT_THAT(put_sample(store, operation, {1, 0}, 5), IsOk());
  TensorMap large;
  large.put_f32("weights", std::vector<float>(25'000, 1));  // a hundred parts
  const SampleCheckpoint sample;
  CheckpointContent content = sample.content(operation, {1, 1});
  content.files[0] = tensor_file(std::string(kModelFile), large).value();

  Result<StoredCheckpoint> stored = Error(ErrorCode::kInternal, "not yet");
  {
    const std::jthread writer([&] { stored = store.put(content); });
    s3::S3Bucket watcher(settings, kImpatient);
    while (watcher.list_uploads("p/op/1-1/")->empty()) std::this_thread::yield();
    server.kill();
  }
  EXPECT_THAT(stored, FailsWith(ErrorCode::kUnavailable));
  EXPECT_THAT(store.load(operation, {1, 0}), FailsWith(ErrorCode::kUnavailable));  // and not "damaged"

  server.start();
  EXPECT_EQ(store.list(operation).value(), (std::vector<CheckpointRef>{{1, 0}}));
  EXPECT_THAT(store.load(operation, {1, 1}), FailsWith(ErrorCode::kCheckpointNotFound));
  EXPECT_TRUE(SampleCheckpoint(5).equals(store.load(operation, {1, 0}).value()));
  EXPECT_EQ(store.remove_leftovers(operation, [](CheckpointRef ref) { return ref.sequence == 1; }).value(),
            0U);
  EXPECT_EQ(store.remove_leftovers(operation, [](CheckpointRef) { return false; }).value(), 1U);
  EXPECT_TRUE(s3::S3Bucket(settings).list_uploads("p/")->empty());
  EXPECT_THAT(put_sample(store, operation, {1, 2}), IsOk());
}

TEST(OpenCheckpointStore, OpensABucketWithTheKeysOfTheEnvironment) {
  SwiftServer& server = SwiftServer::shared();
  const auto store = open_checkpoint_store(server.place(fresh_prefix()), server.environment());
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT(put_sample(**store, {"op"}, {1, 0}), IsOk());
  EXPECT_THAT((*store)->load({"op"}, {1, 0}), IsOk());
}

TEST(OpenCheckpointStore, OpensAFolder) {
  const ktrdr::testing::TemporaryFolder folder;
  const auto nothing = [](const std::string&) { return std::optional<std::string>(); };
  const auto store = open_checkpoint_store(folder / "new", nothing);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT(put_sample(**store, {"op"}, {1, 0}), IsOk());
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "new" / "op" / "1-0" / "manifest.json"));
}

TEST(OpenCheckpointStore, SaysAtOnceWhichVariableIsWrong) {
  SwiftServer& server = SwiftServer::shared();
  const auto with = [&](const std::string& name, const std::string& value) {
    return open_checkpoint_store(server.place("p"), server.environment_with(name, value));
  };
  EXPECT_THAT(with("AWS_SECRET_ACCESS_KEY", "wrong"), FailsWith(ErrorCode::kUnauthorized));
  EXPECT_THAT(with("AWS_SECRET_ACCESS_KEY", "wrong"), SaysError("AWS_SECRET_ACCESS_KEY"));
  EXPECT_THAT(with("AWS_ACCESS_KEY_ID", ""), SaysError("AWS_ACCESS_KEY_ID"));
  EXPECT_THAT(with("AWS_ENDPOINT_URL", ""), SaysError("AWS_REGION"));
  EXPECT_THAT(open_checkpoint_store("s3://no-such-bucket/p", server.environment()),
              SaysError("no such bucket"));
}

}  // namespace
}  // namespace ktrdr::checkpoints::testing
